package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
)

func (a *app) runCommand() *cobra.Command {
	var workers int
	cmd := &cobra.Command{
		Use: "run PATH|PACKAGE|BINARY [ARG...]", Short: "Run a program, its functions on the fleet",
		Long: `Run a program that imports become: a Go package, which is built first, or an
executable. It connects to the fleet by itself, ships itself and calls its functions there. Without a
node one is started for as long as the program runs.

Flags before the program are become's; what follows it is the program's own. Its input, output, signals
and exit code pass through.`,
		Example: `  become run ./examples/factorial 1 2 3 4 5
  become run --workers 4 ./examples/wordcount -top 10 ./docs
  become run github.com/universal-server/become/examples/pool@latest`,
		Args: wants(1, -1, "a program"),
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().IntVar(&workers, "workers", 0, "`processes` of a node started for this command (default 2)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		args = unguard(args)
		if workers < 0 {
			return usage("as in --workers 4", "--workers %d makes no sense", workers)
		}
		if isScript(args[0]) {
			return fault.Text(fault.Invalid, "run", args[0], "it is a script, which has functions but no main program").
				WithHint("become call " + args[0] + "#FUNCTION, or become deploy " + args[0])
		}
		path, err := a.program(ctx, args[0])
		if err != nil {
			return a.why(ctx, err)
		}
		s, err := a.connectWith(ctx, lasting, workers)
		if err != nil {
			return a.why(ctx, err)
		}
		s.Fleet.Close() // the program has a connection of its own
		own := a.takeSignals()
		told, err := a.execute(ctx, s, own, path, args)
		if told {
			done, cancel := context.WithCancel(ctx)
			cancel()
			s.close(done)
			return err
		}
		ctx, giveBack := a.giveBackSignals(ctx)
		defer giveBack()
		s.close(ctx)
		return err
	}
	return cmd
}

// How long a program may go on after it was told to end.
const (
	killAfter      = 5 * time.Second        // by --timeout
	killAfterTwice = 300 * time.Millisecond // by a second signal
)

// execute runs the program, passes on signals and returns its exit code. told
// says that a signal came.
func (a *app) execute(ctx context.Context, s *session, signals <-chan os.Signal, path string, args []string) (told bool, err error) {
	cmd := exec.Command(path, args[1:]...)
	cmd.Env = append(withoutBecome(os.Environ()), fleet.EnvURL+"="+s.url, fleet.EnvKey+"="+s.keyRef)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	if err := cmd.Start(); err != nil {
		return false, fault.New(fault.Invalid, "run", args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	shared := sharesTerminal()
	timeout := ctx.Done()
	var kill <-chan time.Time
	killed := false
	for {
		select {
		case err := <-ended:
			if killed {
				return told, exitError(exitInterrupted)
			}
			return told, a.ended(ctx, args[0], err)
		case sig := <-signals:
			// The terminal tells every process in front of it: not twice, which
			// would mean another thing.
			if sig != os.Interrupt || !shared {
				cmd.Process.Signal(sig)
			}
			if told && kill == nil {
				kill = time.After(killAfterTwice)
			}
			told = true
		case <-timeout:
			timeout = nil
			cmd.Process.Signal(syscall.SIGTERM)
			kill = time.After(killAfter)
		case <-kill:
			killed = told && ctx.Err() == nil
			cmd.Process.Kill()
		}
	}
}

// ended turns the end of a program into the end of this one.
func (a *app) ended(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errInterrupted) {
		return fault.New(fault.KindOf(cause), "run", what, cause)
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if code := exit.ExitCode(); code >= 0 {
		return exitError(code)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal())) // as shells say it
	}
	return exitError(exitFailed)
}
