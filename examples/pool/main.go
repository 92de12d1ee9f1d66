// Pool is a pool of processes as one knows it from Python: apply, asynchronous
// apply with a handle or a callback, errors that travel back, and many goroutines that use
// the pool at once.
//
//	go run ./examples/pool
//	go run ./cmd/become run ./examples/pool
//
// Each line it prints is one of these; "own memory true" says that another process did the work,
// if there is any.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/universal-server/become"
)

type pair struct{ X, Y int }

var add = become.Func("add", func(_ context.Context, p pair) (int, error) { return p.X + p.Y, nil })

// pid says which process runs it.
var pid = become.Func("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })

var fail = become.Func("fail", func(_ context.Context, why string) (int, error) { return 0, errors.New(why) })

func main() { become.Main(boss) }

func boss(ctx context.Context, pool *become.Fleet) error {
	// apply: run a function in another process and wait.
	r, err := add.Call(ctx, pool, pair{2, 3})
	fmt.Println("apply", r, err)

	// apply_async: a handle; get with a timeout, ready, successful, wait.
	a := add.Go(ctx, pool, pair{20, 30})
	soon, stop := context.WithTimeout(ctx, 10*time.Second)
	r, err = a.Wait(soon)
	stop()
	fmt.Println("async", r, err, a.State() == become.StateSucceeded)

	// Errors travel back.
	_, err = fail.Call(ctx, pool, "out of paper")
	fmt.Println("error", err)

	// A callback.
	done := make(chan int, 1)
	add.Go(ctx, pool, pair{1, 1}).OnDone(func(f *become.Future[int]) { v, _ := f.Wait(ctx); done <- v })
	fmt.Println("callback", <-done)

	// Many callers at once; the work is done in other processes, unless there are none.
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := range 100 {
		wg.Go(func() {
			r, err := add.Call(ctx, pool, pair{i, i})
			if err == nil {
				mu.Lock()
				total += r
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	fmt.Println("100 callers", total)
	p, err := pid.Call(ctx, pool, struct{}{})
	fmt.Println("own memory", err == nil && (pool.Alone() || p != os.Getpid()))
	return nil
}
