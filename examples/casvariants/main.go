// Casvariants is one compare-and-swap server, written in the ways in which servers have been written: a process for each
// connection, one process that asks its sockets again and again, one that waits for all of them at once, threads.
//
//	go run ./examples/casvariants --listen 127.0.0.1:22222 --variant threads
//	go run ./examples/casvariants --variant hello
//
// The variants:
//
//	hello    not a server: what fork does, two processes that print where there was one
//	fork     a process for each connection, with a register of its own. That is wrong: clients do not see
//	         what others have stored
//	shared   the same with the register in memory that the processes share
//	busy     one process that asks every socket, never waits, and so uses a whole processor to do nothing
//	poll     one process that lets the kernel wait for all sockets at once
//	threads  a thread for each connection, and a lock around the comparison and the swap
//
// In a second terminal: go run ./cmd/become cas 127.0.0.1 0 1. Ctrl-C ends it; so does --for 2s. At its end it says
// how much processor time it has used: that shows what is bad about busy.
//
// They are for reading. The server to use is become serve cas.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// variant serves until ctx ends.
type variant func(ctx context.Context, ln *net.TCPListener) error

func main() {
	if childHere() {
		return
	}
	listen := flag.String("listen", "127.0.0.1:22222", "where to listen")
	name := flag.String("variant", "threads", "hello, fork, shared, busy, poll or threads")
	within := flag.Duration("for", 0, "end after this time (default: at Ctrl-C)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *within)
		defer cancel()
	}
	if err := run(ctx, *listen, *name); err != nil {
		fmt.Fprintln(os.Stderr, "casvariants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, name string) error {
	if name == "hello" {
		return hello()
	}
	serve, ok := variants()[name]
	if !ok {
		return fmt.Errorf("there is no variant %q here", name)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	fmt.Printf("%s: serving on %s\n", name, ln.Addr())
	began, used := time.Now(), processorTime()
	if err := serve(ctx, ln.(*net.TCPListener)); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	fmt.Println("Exiting")
	fmt.Printf("%s: %.2f s of processor time in %.2f s\n", name, (processorTime() - used).Seconds(), time.Since(began).Seconds())
	return nil
}

// closing closes what a variant waits at when ctx ends; the function that it returns gives that up.
func closing(ctx context.Context, ln net.Listener) (stop func() bool) {
	return context.AfterFunc(ctx, func() { ln.Close() })
}

// withoutOurs is the environment without what tells a child what to be.
func withoutOurs(env []string) (rest []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, childEnv+"=") && !strings.HasPrefix(e, fileEnv+"=") {
			rest = append(rest, e)
		}
	}
	return rest
}
