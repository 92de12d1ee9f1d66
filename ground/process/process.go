package process

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
)

const (
	// KillWithin is how long Kill waits for its proof. A killed process is gone
	// within milliseconds unless the kernel holds it, as on a dead network disk.
	KillWithin = 5 * time.Second

	// drainWithin bounds the wait for output that somebody outside the group holds open.
	drainWithin = 100 * time.Millisecond
)

// Spec says what to start. Path is required; the rest may be zero.
type Spec struct {
	// Path is the executable; it is not looked up in PATH.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env is the whole environment of the child, "KEY=value". Nil is an empty one:
	// nothing of the parent's is inherited, so no secret is by accident.
	Env []string
	// Dir is the working directory. Defaults to the parent's.
	Dir string
	// Stdout and Stderr get what the child prints, each from one goroutine of the
	// process; Write must not keep the bytes. Nil discards. They are not closed: do so
	// after Done.
	Stdout, Stderr io.Writer
	// Stdio become descriptors 0, 1 and 2 as they are, without a pipe between: a connection, a
	// pipe of the caller's. Nil leaves the descriptor to the fields above. The files stay the
	// caller's, to be closed after Start.
	Stdio [3]*os.File
	// Control makes a socket pair: descriptor 3 of the child, Process.Control here.
	Control bool
	// ExtraFiles become the descriptors after 2, or after 3 with Control. They stay
	// the caller's, to be closed after Start.
	ExtraFiles []*os.File

	// Confine is what the child may use and reach. Zero: as much as the parent. With rules the child
	// is first this program itself, for milliseconds: see package confine.
	Confine confine.Rules
}

// Exit says how a process ended.
type Exit struct {
	// Code is the exit status, or -1 when a signal ended it.
	Code int
	// Signal is the name of that signal, "SIGKILL", or "".
	Signal string
	// Limit is the limit that it was killed for, "over its memory limit of 256 MiB", or "".
	Limit string
	// Reason is the same for people: "exit status 2", "killed by SIGSEGV", "killed by SIGKILL: over
	// its memory limit of 256 MiB".
	Reason string
}

// Process is one started child. Its goroutines read the output, wait for its end
// and see its group gone; all have ended soon after Done is closed and Kill has
// returned nil.
type Process struct {
	pid     int
	name    string // base name of the executable, for errors
	control net.Conn
	plan    *confine.Plan // nil without rules
	onMain  bool          // a change of the program does not kill it

	reaped chan struct{} // closed when exit is set and the child is no more
	gone   chan struct{} // closed when nothing of the group runs
	done   chan struct{} // closed when reaped and the output is drained
	exit   Exit          // written before reaped is closed

	pumps    sync.WaitGroup // read output, and watch the child; awaited before done is closed
	mu       sync.Mutex     // held while signalling and while reaping
	isReaped bool           // from here on the number may be a stranger's
	pipes    [2]*os.File    // read ends of stdout and stderr; nil if there is none, or nothing comes any more
	reading  int            // pumps that read
	held     *hold          // during a handover
}

// Start starts a child. ctx bounds the start only. Errors: fault.Invalid for a spec
// that cannot be started here, or held to its rules, fault.NotFound and fault.Denied as the system
// says about Path, fault.Canceled and fault.Deadline from ctx.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if err := check(ctx, spec); err != nil {
		return nil, err
	}
	p := newProcess(filepath.Base(spec.Path))
	if err := p.start(ctx, spec); err != nil {
		return nil, startError(spec.Path, err)
	}
	return p, nil
}

func newProcess(name string) *Process {
	return &Process{name: name, reaped: make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{})}
}

func check(ctx context.Context, spec Spec) error {
	switch {
	case spec.Path == "":
		return fault.Text(fault.Invalid, "start process", "", "no path given")
	case ctx.Err() != nil:
		return startError(spec.Path, context.Cause(ctx))
	}
	return nil
}

func startError(path string, err error) error {
	kind := fault.KindOf(err)
	switch {
	case errors.Is(err, os.ErrNotExist):
		kind = fault.NotFound
	case errors.Is(err, os.ErrPermission):
		kind = fault.Denied
	}
	return fault.New(kind, "start process", path, err)
}

// PID returns the process id, which is also the id of the group.
func (p *Process) PID() int { return p.pid }

// Control returns the parent's end of the socket pair, or nil without
// Spec.Control. It is the caller's to close.
func (p *Process) Control() net.Conn { return p.control }

// Held tells what holds the child, for people: "256 MiB of memory (cgroup)", "no new privileges".
// Nothing without rules.
func (p *Process) Held() []string { return p.plan.Held() }

// Done closes when the child has ended and its output has been handed over.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the child ended; the zero Exit before Done.
func (p *Process) Exit() Exit {
	select {
	case <-p.reaped:
		return p.exit
	default:
		return Exit{}
	}
}

// Wait waits for Done and returns how the child ended, or ctx's error.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return Exit{}, fault.New(fault.KindOf(ctx.Err()), "wait for process", p.String(), context.Cause(ctx))
	}
}

// Kill kills the child and its group and returns when none of them runs any more.
// After KillWithin it gives up with fault.Deadline and a list of the survivors;
// it may be called again, and by several goroutines.
func (p *Process) Kill() error {
	p.signal(sigKill)
	late := time.NewTimer(KillWithin)
	defer late.Stop()
	select {
	case <-p.gone:
		return nil
	case <-late.C:
		return fault.Text(fault.Deadline, "kill process", p.String(),
			"still running after "+KillWithin.String()+": "+survivors(p.pid, p.plan.Running()))
	}
}

// Terminate asks the whole group to end with SIGTERM, waits up to grace for the
// child's end, and then does what Kill does.
func (p *Process) Terminate(grace time.Duration) error {
	p.signal(sigTerm)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.reaped:
	case <-late.C:
	}
	return p.Kill()
}
