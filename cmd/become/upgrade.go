package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
)

const (
	// handOverWithin is how long it may take until nobody is busy.
	handOverWithin = 10 * time.Second
	askWithin      = 10 * time.Second
	maxAnswer      = 64 << 10 // bytes
)

// requests are the signals by which become is asked for something while it runs.
type requests struct {
	c    chan os.Signal
	stop func()
}

func newRequests() *requests {
	own()
	r := &requests{c: make(chan os.Signal, 4)}
	r.listen()
	return r
}

func (r *requests) listen() { r.stop = reexec.Notify(r.c, syscall.SIGHUP, upgradeSignal) }

// quiet lets no more signals come, and says whether one has that was not looked at yet. Without it a signal
// would end the next program while that begins. listen undoes it.
func (r *requests) quiet() (more bool) {
	signal.Ignore(syscall.SIGHUP, upgradeSignal)
	r.stop()
	for {
		select {
		case s := <-r.c:
			more = more || s == syscall.SIGHUP
		default:
			return more
		}
	}
}

// own is where this program was started from: the path, not what it led to then, because the new
// version may be behind it now. It is asked for early, before there is one.
var own = sync.OnceValue(func() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil || !sameFile(path, exe) {
		return exe
	}
	return path
})

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// forms are the versions of what one program leaves to the next.
type forms map[string]int

func knownForms() forms {
	return forms{"keeper": keeper.HandoverVersion, "master": master.HandoverVersion, "node": node.HandoverVersion, "serve": foregroundVersion, "up": upVersion}
}

// successorCommand tells a running program whether it can be replaced by this one.
func (a *app) successorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "successor", Hidden: true, Short: "Tell what this program can take over", Args: wants(0, 0, "no argument"),
		Example: "  become successor",
		RunE: func(*cobra.Command, []string) error {
			return json.NewEncoder(a.out).Encode(knownForms())
		},
	}
}

// checkSuccessor asks the program at path whether it can take over.
func checkSuccessor(ctx context.Context, path string) error {
	const op = "replace become by"
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "successor")
	cmd.Env = append(withoutBecome(os.Environ()), "GORACE=atexit_sleep_ms=0")
	cmd.WaitDelay = time.Second
	var said, complaint bounds
	said.max, complaint.max = maxAnswer, maxAnswer
	cmd.Stdout, cmd.Stderr = &said, &complaint
	if err := cmd.Run(); err != nil {
		if line, _, _ := bytes.Cut(bytes.TrimSpace(complaint.Bytes()), []byte("\n")); len(line) > 0 {
			err = fmt.Errorf("%w: %s", err, line)
		}
		return fault.New(cmp.Or(fault.KindOf(ctx.Err()), fault.Invalid), op, path, err).WithHint("it is no become, or none that works here")
	}
	var other forms
	if err := json.Unmarshal(said.Bytes(), &other); err != nil {
		return fault.Text(fault.Invalid, op, path, "it does not say what it can take over").WithHint("it is no become, or one from before this was possible")
	}
	known := knownForms()
	for _, what := range slices.Sorted(maps.Keys(known)) {
		if n := known[what]; other[what] != n {
			return fault.Text(fault.Invalid, op, path, fmt.Sprintf("it takes over version %d of %q, and this is version %d", other[what], what, n)).
				WithHint("end this one and start the new one: it changes too much for less")
		}
	}
	return nil
}

// tellNotReplaced says why this program goes on.
func (a *app) tellNotReplaced(err error) {
	fmt.Fprintf(a.err, "become: nothing is replaced: %s\n", printable(err.Error(), true))
	if hint := fault.Hint(err); hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", printable(hint, true))
	}
}
