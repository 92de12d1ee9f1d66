package become

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/child"
)

// EnvDescribe, when set, makes a program that uses Main or Serve print its functions and its
// services as JSON and leave.
const EnvDescribe = "BECOME_DESCRIBE"

// Init makes this process what it was started as: if a node started it, it is
// a worker now, and Init never returns. Call it first in main, before flags are
// read. [Main] does it for you.
func Init() {
	switch {
	case child.Wanted():
		leave(child.Run(host{}))
	case os.Getenv(EnvDescribe) != "":
		d, err := describe()
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(d)
		}
		leave(err)
	}
}

// leave ends a process that was started for one thing.
func leave(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Main is the main function of a program whose functions run on a fleet. The
// same program is boss and worker: started by a node it serves its functions, started by
// anybody else it connects to a fleet and runs boss. Without any fleet
// it runs alone, its functions in this process, and says so on standard error.
//
// A config says which fleet, if it is to be another one than [Connect]'s default.
//
// The first interrupt ends boss's context, the second the process. Main exits
// with 0, with 1 and boss's error on standard error, or with 130 after an interrupt.
func Main(boss func(ctx context.Context, fleet *Fleet) error, config ...Config) {
	Init()
	var c Config
	if len(config) > 0 {
		c = config[len(config)-1]
	}
	os.Exit(run(boss, c))
}

func run(boss func(context.Context, *Fleet) error, config Config) int {
	ctx, interrupted, stop := untilInterrupt()
	defer stop()
	defer tracedProgram()()
	f, err := Connect(ctx, config)
	if err != nil {
		return report(err)
	}
	if f.Alone() && !config.Alone {
		fmt.Fprintf(os.Stderr, "%s: no fleet found, running alone in this process (start one with: become up)\n", programName())
	}
	err = boss(ctx, f)
	f.Close()
	if interrupted() {
		if err != nil && !errors.Is(err, context.Canceled) {
			report(err)
		}
		return 130
	}
	if err != nil {
		return report(err)
	}
	return 0
}

// report prints an error and its hint and returns the exit code.
func report(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", programName(), err)
	if hint := fault.Hint(err); hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", hint)
	}
	if stack := fault.Stack(err); stack != "" {
		fmt.Fprintln(os.Stderr, stack)
	}
	return 1
}

// untilInterrupt returns a context that ends at the first interrupt. The
// second one ends the process at once.
func untilInterrupt() (ctx context.Context, interrupted func() bool, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	first := make(chan struct{})
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			close(first)
			cancel()
		case <-done:
			return
		}
		select {
		case <-signals:
			os.Exit(130)
		case <-done:
		}
	}()
	interrupted = func() bool {
		select {
		case <-first:
			return true
		default:
			return false
		}
	}
	return ctx, interrupted, func() { signal.Stop(signals); close(done); cancel() }
}

// shipProgress tells on a terminal how far the upload of a large program is.
func shipProgress(sent, total int64) {
	if total < 4<<20 || !terminal(os.Stderr) {
		return
	}
	now := time.Now()
	if sent < total && now.Sub(lastShown) < 100*time.Millisecond {
		return
	}
	lastShown = now
	fmt.Fprintf(os.Stderr, "\r%s: uploading %d of %d MiB", programName(), sent>>20, total>>20)
	if sent >= total {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

var lastShown time.Time // only the goroutine that ships uses it, under Fleet.mu

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
