// Futures shows what a future can do: be waited for, with a time limit; tell
// its state; call back, also when it is done already; be cancelled, queued or running;
// be gathered with others; report progress.
//
//	go run ./examples/futures
//	go run ./cmd/become run ./examples/futures
//
// Each line it prints is one of these, in this order; "1 / 0" is a panic that comes back as an error.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/universal-server/become"
)

var add = become.Func("add", func(_ context.Context, n [2]int) (int, error) { return n[0] + n[1], nil })

// work reports three times, then waits to be cancelled.
var work = become.Func("work", func(ctx context.Context, name string) (string, error) {
	for step := 1; step <= 3; step++ {
		if err := become.Report(ctx, step); err != nil {
			return "", err
		}
	}
	<-ctx.Done()
	return "", ctx.Err()
})

var divide = become.Func("divide", func(_ context.Context, n [2]int) (int, error) { return n[0] / n[1], nil })

func main() { become.Main(boss) }

func boss(ctx context.Context, fleet *become.Fleet) error {
	// A future, waited for.
	sum := add.Go(ctx, fleet, [2]int{2, 3})
	v, err := sum.Wait(ctx)
	fmt.Println("2 + 3 =", v, err, sum.State())

	// A callback, also after the future is done.
	called := make(chan int, 1)
	sum.OnDone(func(f *become.Future[int]) { v, _ := f.Wait(ctx); called <- v })
	fmt.Println("called back with", <-called)

	// A result with a time limit; progress; cancellation the worker honours.
	steps := make(chan int, 3)
	long := work.Go(ctx, fleet, "long", become.CallOptions{OnProgress: func(p become.Progress) {
		var step int
		if p.Decode(&step) == nil {
			steps <- step
		}
	}})
	fmt.Println("progress", <-steps, <-steps, <-steps)
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	_, err = long.Wait(short)
	stop()
	fmt.Println("not yet:", errors.Is(err, context.DeadlineExceeded), long.State())
	long.Cancel()
	<-long.Done()
	fmt.Println("cancelled:", long.State())

	// Errors and panics come back as errors.
	_, err = divide.Call(ctx, fleet, [2]int{1, 0})
	fmt.Println("1 / 0:", err)

	// Several at once.
	all, err := become.Gather(ctx, add.Go(ctx, fleet, [2]int{1, 1}), add.Go(ctx, fleet, [2]int{2, 2}))
	fmt.Println("gathered", all, err)
	first, err := become.First(ctx, work.Go(ctx, fleet, "loser"), asText(ctx, fleet))
	fmt.Println("first", first, err)
	return nil
}

var greet = become.Func("greet", func(_ context.Context, name string) (string, error) { return "hello " + name, nil })

func asText(ctx context.Context, fleet *become.Fleet) *become.Future[string] {
	return greet.Go(ctx, fleet, "winner")
}
