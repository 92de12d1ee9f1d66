package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// Exit codes. They are a promise: scripts rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitTimeout     = 124
	exitInterrupted = 130
)

// stdio is what a command reads and writes.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// app is one run of the command: its global flags and its way out.
type app struct {
	stdio
	home    string
	url     string
	key     string
	json    bool
	timeout time.Duration
	verbose bool

	homeSet bool // --home was given
	logger  *slog.Logger
	signals chan os.Signal
	own     chan struct{} // closed when the command handles signals itself
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// exitError is an exit code whose reason was told already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usageError is a command line that makes no sense.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func usage(hint, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), hint: hint}
}

// run is the whole command: it returns the exit code.
func run(ctx context.Context, args []string, io stdio) int {
	a := &app{stdio: io, signals: make(chan os.Signal, 4), own: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer reexec.Notify(a.signals, os.Interrupt, syscall.SIGTERM)()
	over := make(chan struct{})
	defer close(over)
	go a.watchSignals(cancel, a.own, over)

	root := a.root()
	root.SetArgs(guardNumbers(root, args))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	return a.report(ctx, root.ExecuteContext(ctx))
}

// watchSignals ends the command at the first signal, gently, and at the second one
// at once, unless the command has said that it looks after signals itself.
func (a *app) watchSignals(cancel context.CancelCauseFunc, own, over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-own:
			return
		case <-a.signals:
		}
		if n > 0 {
			os.Exit(exitInterrupted)
		}
		cancel(errInterrupted)
	}
}

// takeSignals gives the signals to the command, which has to look after them.
func (a *app) takeSignals() <-chan os.Signal {
	close(a.own)
	return a.signals
}

// giveBackSignals undoes takeSignals: from now on a signal ends the returned context.
func (a *app) giveBackSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.own = make(chan struct{})
	over := make(chan struct{})
	go a.watchSignals(cancel, a.own, over)
	return ctx, func() {
		close(over)
		cancel(nil)
	}
}

// guardNumbers keeps "-3" in the arguments of call and submit from being taken
// for a flag; unguard undoes it.
func guardNumbers(root *cobra.Command, args []string) []string {
	out := append([]string(nil), args...)
	cmd, _, err := root.Find(args)
	if err != nil {
		cmd = root
	}
	for i, s := range out {
		if s == "--" {
			break
		}
		if i > 0 && wantsValue(cmd, out[i-1]) {
			continue
		}
		if len(s) > 1 && s[0] == '-' && (s[1] >= '0' && s[1] <= '9' || s[1] == '.') {
			out[i] = guard + s
		}
	}
	return out
}

// wantsValue reports whether arg is a flag of cmd whose value is the next argument.
func wantsValue(cmd *cobra.Command, arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	var f *pflag.Flag
	switch {
	case long:
		f = cmd.Flag(name)
	case len(arg) > 1 && arg[0] == '-' && arg[len(arg)-1] < 0x80:
		letter := arg[len(arg)-1:]
		if f = cmd.Flags().ShorthandLookup(letter); f == nil {
			f = cmd.InheritedFlags().ShorthandLookup(letter)
		}
	}
	return f != nil && f.NoOptDefVal == ""
}

const guard = "\x00"

func unguard(args []string) []string {
	for i, s := range args {
		args[i] = strings.TrimPrefix(s, guard)
	}
	return args
}

const rootLong = `become is a universal server: start it on a machine and it does nothing in
particular; send it code and it becomes what you need. Code that is replaced while it
runs costs no restart and no lost call.

Without a node (become up) most commands start one for as long as they run.`

const rootExample = `  become up                                a node, in this terminal
  become call -e '(n) => n * n' 12         call a function typed here: 144
  become run ./examples/factorial 1 2 3    build a program, run it, its functions on the fleet
  become deploy ./square.js                the name "square" becomes this file; again: a hot swap
  become call square.area 3 4              call a function by its name
  become ps                                what is running`

const rootFooter = `
Exit codes:
  0    it worked
  1    it failed: also a function's own error
  2    the command line makes no sense
  3    what was named does not exist
  4    refused: busy, in use by another, or not allowed
  124  --timeout has passed
  130  interrupted

Environment:
  BECOME_URL   the fleet's bus, as --nats
  BECOME_KEY   the fleet's key or its file, as --key
  BECOME_HOME  the node's folder, as --home (default ~/.become)
`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "become", Short: "The universal server", Long: rootLong, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.settle(cmd) },
	}
	root.RunE = onlySubcommands
	root.SetUsageTemplate(root.UsageTemplate() + "{{if not .HasParent}}" + rootFooter + "{{end}}")
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVar(&a.home, "home", "", "the node's `folder` (default $BECOME_HOME, else ~/.become)")
	flags.StringVar(&a.url, "nats", "", "`URL` of the fleet's bus; --join is the same (default $BECOME_URL, else the local node's)")
	flags.StringVar(&a.key, "key", "", "the fleet's key, or the `file` that holds it (default $BECOME_KEY, else the home's)")
	flags.BoolVar(&a.json, "json", false, "print JSON: one document, or a line for each item of a stream")
	flags.DurationVar(&a.timeout, "timeout", 0, "give up after this `time`, as in 10s (default never)")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "tell on standard error what happens; stacks of errors too")
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "join" {
			name = "nats"
		}
		return pflag.NormalizedName(name)
	})
	root.AddGroup(
		&cobra.Group{ID: "code", Title: "Send code, call it:"},
		&cobra.Group{ID: "services", Title: "Look after services:"},
		&cobra.Group{ID: "fleet", Title: "Look after the fleet:"},
		&cobra.Group{ID: "more", Title: "More:"},
	)
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("code", a.newCommand(), a.runCommand(), a.serveCommand(), a.callCommand(), a.submitCommand(), a.deployCommand(), a.rollbackCommand(), a.describeCommand(), a.namesCommand(), a.rmCommand())
	add("services", a.roleCommands()...)
	add("services", a.settingsCommand(), a.historyCommand(), a.logLevelCommand())
	add("fleet", a.upCommand(), a.upgradeCommand(), a.psCommand(), a.nodesCommand(), a.jobsCommand(), a.logsCommand(), a.topCommand(), a.snapshotCommand(), a.restoreCommand())
	add("more", a.casCommand(), a.homeCommand(), a.keyCommand(), a.versionCommand())
	root.AddCommand(a.successorCommand())
	return root
}

// onlySubcommands is what a command does that does nothing by itself.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := cmd.CommandPath() + " --help lists the commands"
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean " + cmd.CommandPath() + " " + strings.Join(like, " or ") + "? " + hint
	}
	return usage(hint, "there is no command %q", cmd.CommandPath()+" "+unguard(args[:1])[0])
}

// settle makes what the global flags say true.
func (a *app) settle(cmd *cobra.Command) error {
	a.homeSet = cmd.Flags().Changed("home")
	a.logger = slog.New(slog.DiscardHandler)
	if a.verbose {
		a.logger = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if a.timeout < 0 {
		return usage("as in --timeout 10s", "a --timeout of %s is in the past", a.timeout)
	}
	if a.timeout > 0 && cmd.Name() != "up" {
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), a.timeout, errTimeout(a.timeout))
		cobra.OnFinalize(cancel)
		cmd.SetContext(ctx)
	}
	return nil
}

// errTimeout is the cause of a context that --timeout ended.
func errTimeout(d time.Duration) error {
	return fault.Text(fault.Deadline, "", "", "it took longer than --timeout "+d.String())
}

// report prints an error and returns the exit code.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	var code exitError
	if errors.As(err, &code) {
		return int(code)
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return exitInterrupted
	}
	status, hint := exitFailed, fault.Hint(err)
	var u *usageError
	if errors.As(err, &u) {
		status, hint = exitUsage, u.hint
	} else {
		status = exitCode(fault.KindOf(err))
	}
	if a.json {
		json.NewEncoder(a.err).Encode(errorJSON(err, hint))
		return status
	}
	fmt.Fprintf(a.err, "become: %s\n", printable(err.Error(), true))
	if hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", printable(hint, false))
	}
	if stack := fault.Stack(err); stack != "" && a.verbose {
		fmt.Fprintln(a.err, printable(strings.TrimRight(stack, "\n"), true))
	} else if stack != "" && hint == "" {
		fmt.Fprintln(a.err, "hint: -v shows the stack")
	}
	return status
}

func errorJSON(err error, hint string) map[string]any {
	out := map[string]any{"error": err.Error(), "kind": fault.KindOf(err).String()}
	var u *usageError
	if errors.As(err, &u) {
		out["kind"] = "usage"
	}
	if hint != "" {
		out["hint"] = hint
	}
	if stack := fault.Stack(err); stack != "" {
		out["stack"] = stack
	}
	return out
}

func exitCode(k fault.Kind) int {
	switch k {
	case fault.NotFound:
		return exitNotFound
	case fault.Busy, fault.Denied, fault.Conflict:
		return exitRefused
	case fault.Deadline:
		return exitTimeout
	}
	return exitFailed
}

// wants checks the number of arguments; most < 0 is any number. what names them.
func wants(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd.CommandPath()+" --help", "%s wants %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return usage(cmd.CommandPath()+" --help", "%s wants %s: %q is too much", cmd.CommandPath(), what, unguard(args)[most])
		}
		return nil
	}
}
