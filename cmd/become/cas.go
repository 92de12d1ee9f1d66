package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

func (a *app) casCommand() *cobra.Command {
	var split bool
	cmd := &cobra.Command{
		Use: "cas [HOST (OLD NEW | TEXT)]", Short: "Compare and swap: a register on standard input, or a server's",
		Long: `Without arguments: a register that holds 0, asked by the lines of standard input. "OLD NEW" makes it NEW if it holds OLD;
the reply is what it held. What follows the two numbers is ignored; any other line is Bad Syntax.

HOST OLD NEW asks a server (become serve cas) and prints its reply. HOST TEXT sends the text as it is, incomplete
or with several lines, and prints all replies. HOST is a host, host:port or unix:/path; the port is 22222 if none
is given.

The exit code is 0 when the server has replied, whatever it said: Bad Syntax too. It is 1 when there is no server, or when
it ended the connection without a reply: the operation may have happened or not. --timeout says how long to
wait (exit code 124), by default as long as it takes.`,
		Example: `  printf '0 1\n1 2\n' | become cas
  become cas localhost 0 1
  become cas localhost $'0 1\n1 2\n' --timeout 5s`,
		Args: wants(0, 3, "no arguments, HOST OLD NEW, or HOST TEXT"),
	}
	cmd.Flags().BoolVar(&split, "split", false, "send OLD, a blank, NEW and the newline by themselves, one after the other")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args, ctx := unguard(args), cmd.Context()
		switch {
		case len(args) == 1:
			return usage(cmd.CommandPath()+" --help", "become cas HOST wants OLD NEW, or TEXT")
		case split && len(args) != 3:
			return usage("as in become cas --split localhost 0 1", "--split wants HOST OLD NEW")
		case len(args) == 0 && a.json:
			return usage("leave --json out", "the replies to standard input are printed as they are")
		case len(args) == 0:
			return a.driveCAS(ctx)
		case len(args) == 2:
			return a.why(ctx, a.tellCAS(ctx, args[0], args[1]))
		case split:
			return a.why(ctx, a.askCAS(ctx, args[0], args[1], []string{args[1], " ", args[2], "\n"}))
		}
		return a.why(ctx, a.askCAS(ctx, args[0], args[1], []string{args[1] + " " + args[2] + "\n"}))
	}
	return cmd
}

// driveCAS answers standard input until it ends. A read of a terminal cannot be ended: an interrupt
// leaves it to the end of the process.
func (a *app) driveCAS(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- cas.Drive(ctx, new(register.Memory), a.in, a.out) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return a.why(ctx, ctx.Err())
	}
}

// askCAS sends one line and prints the reply to it.
func (a *app) askCAS(ctx context.Context, host, old string, segments []string) error {
	reply, answered := "", false
	err := cas.Exchange(ctx, host, segments, false, func(text string) bool {
		reply, answered = text, true
		return false
	})
	switch {
	case err != nil:
		return err
	case !answered:
		return fault.Text(fault.Lost, "hear from", host, "it ended the connection without a reply").
			WithHint("the operation may have happened or not: ask for the value with the same number twice")
	}
	out := map[string]any{"reply": reply}
	if present, err := register.Parse(reply); err == nil {
		want, _ := register.ParsePrefix([]byte(old))
		out["swapped"] = present == want
	}
	return a.done(out, printable(reply, false))
}

// tellCAS sends a text as it is and prints all replies.
func (a *app) tellCAS(ctx context.Context, host, text string) error {
	var failed error
	err := cas.Exchange(ctx, host, []string{text}, true, func(reply string) bool {
		failed = a.done(map[string]any{"reply": reply}, printable(reply, false))
		return failed == nil
	})
	return errors.Join(err, failed)
}
