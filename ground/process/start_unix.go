//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/confine"
)

const (
	sigKill = syscall.SIGKILL
	sigTerm = syscall.SIGTERM
)

// String returns "sh (4711)".
func (p *Process) String() string { return p.name + " (" + strconv.Itoa(p.pid) + ")" }

// opened is what a start has opened so far; the child's side is closed in any
// case, the parent's when the start fails.
type opened struct {
	child  []int // descriptors of the child, by their number there
	own    []io.Closer
	pipes  [2]*os.File // read ends of stdout and stderr, or nil
	report *os.File    // read end of what tells how confining went, or nil
	parent net.Conn
}

func (o *opened) closeChild() {
	for _, fd := range o.child {
		unix.Close(fd)
	}
}

func (o *opened) closeOwn() {
	for _, c := range o.own {
		c.Close()
	}
}

func (p *Process) start(ctx context.Context, spec Spec) (err error) {
	if p.plan, err = confine.NewPlan(spec.Confine); err != nil {
		return err
	}
	var o opened
	err = o.open(spec)
	if err == nil && p.plan != nil {
		err = o.openReport()
	}
	if err == nil {
		p.pid, p.onMain, err = spawn(ctx, spec, p.plan, o.child)
	}
	o.closeChild()
	if err != nil {
		o.closeOwn()
		p.plan.Close()
		return err
	}
	p.control = o.parent
	became := make(chan struct{})
	p.run(o.pipes, [2]io.Writer{spec.Stdout, spec.Stderr}, became)
	if o.report == nil {
		return nil
	}
	if err := confine.Obeyed(ctx, o.report); err != nil {
		if o.parent != nil {
			o.parent.Close()
		}
		return errors.Join(err, p.Kill())
	}
	close(became)
	return nil
}

// run reads the child's output and waits for its end. became is closed when the child is its program.
func (p *Process) run(pipes [2]*os.File, writers [2]io.Writer, became <-chan struct{}) {
	p.pipes = pipes
	for _, r := range pipes {
		if r != nil {
			p.reading++
		}
	}
	for i, r := range pipes {
		if r != nil {
			p.pumps.Go(func() { p.pump(i, writers[i], r) })
		}
	}
	if p.plan != nil {
		p.pumps.Go(func() { p.watch(became) })
	}
	go p.reap() // ends by closing gone
}

// watch has the plan look at the child once it has become its program, until its end.
func (p *Process) watch(became <-chan struct{}) {
	select {
	case <-became:
		p.plan.Watch(p.pid, p.reaped, func() { p.signal(sigKill) })
	case <-p.reaped:
	}
}

func (o *opened) open(spec Spec) error {
	if err := o.openInput(spec.Stdio[0]); err != nil {
		return err
	}
	for i, w := range []io.Writer{spec.Stdout, spec.Stderr} {
		if err := o.openOutput(i, w, spec.Stdio[i+1]); err != nil {
			return err
		}
	}
	if spec.Control {
		conn, fd, err := pair()
		if err != nil {
			return err
		}
		o.parent, o.own, o.child = conn, append(o.own, conn), append(o.child, fd)
	}
	for _, f := range spec.ExtraFiles {
		if err := o.give(duplicate(f)); err != nil {
			return err
		}
	}
	return nil
}

// give makes a descriptor the child's next one.
func (o *opened) give(fd int, err error) error {
	if err == nil {
		o.child = append(o.child, fd)
	}
	return err
}

func null() (int, error) { return unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0) }

func (o *opened) openInput(f *os.File) error {
	if f != nil {
		return o.give(duplicate(f))
	}
	return o.give(null())
}

func (o *opened) openOutput(i int, w io.Writer, f *os.File) (err error) {
	switch {
	case f != nil:
		return o.give(duplicate(f))
	case w == nil:
		return o.give(null())
	}
	o.pipes[i], err = o.openPipe()
	return err
}

// openReport makes the child's last descriptor a pipe, which ends when the child becomes its program.
func (o *opened) openReport() (err error) {
	o.report, err = o.openPipe()
	return err
}

// openPipe makes the write end of a pipe the child's next descriptor and returns the other.
func (o *opened) openPipe() (*os.File, error) {
	// Not os.Pipe: it would make the child's end non-blocking, and programs in other
	// languages lose output to EAGAIN then.
	r, wr, err := pipe()
	if err != nil {
		return nil, err
	}
	o.child = append(o.child, wr)
	if err := unix.SetNonblock(r, true); err != nil {
		unix.Close(r)
		return nil, err
	}
	f := os.NewFile(uintptr(r), "pipe")
	o.own = append(o.own, f)
	return f, nil
}

// duplicate returns a descriptor of f's open file without touching its flags,
// which File.Fd would.
func duplicate(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := raw.Control(func(n uintptr) {
		fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// spawn starts the executable. ETXTBSY is tried again: an executable this very
// process has just written can be held open for writing by another child between
// its fork and its exec, for microseconds (https://go.dev/issue/22315).
func spawn(ctx context.Context, spec Spec, plan *confine.Plan, fds []int) (pid int, onMain bool, err error) {
	keepInherited()
	attr := &syscall.ProcAttr{Dir: spec.Dir, Env: spec.Env, Sys: sysProcAttr()}
	if attr.Env == nil {
		attr.Env = []string{}
	}
	for _, fd := range fds {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	path := spec.Path
	if plan != nil {
		order, err := plan.Order(path, len(fds)-1)
		if err != nil {
			return 0, false, err
		}
		path, attr.Env = confine.Self, append(slices.Clip(attr.Env), order)
	}
	release, err := plan.Attr(attr.Sys)
	if err != nil {
		return 0, false, err
	}
	defer release()
	argv := append([]string{spec.Path}, spec.Args...)
	for wait := time.Millisecond; ; wait *= 2 {
		onMain = onStarter(func() { pid, err = syscall.ForkExec(path, argv, attr) })
		if !errors.Is(err, syscall.ETXTBSY) || wait > 256*time.Millisecond {
			return pid, onMain, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		}
	}
}

// keepInherited keeps to this process what it inherited itself without
// close-on-exec, from a shell for example. Everything Go opens has the flag already.
var keepInherited = sync.OnceFunc(func() {
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
})

// pump copies a child's output until it ends or the read deadline passes, with a pause
// while the child is held for a handover. When w fails the rest is read and dropped: a child must not
// block, nor die of SIGPIPE, because its log cannot be written.
func (p *Process) pump(i int, w io.Writer, r *os.File) {
	defer r.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 && w != nil {
			if _, werr := w.Write(buf[:n]); werr != nil {
				w = nil
			}
		}
		if err != nil && !p.pausePump(i, err) {
			return
		}
	}
}

// reap waits for the child's end, takes its group with it, and announces each step.
func (p *Process) reap() {
	status, used := p.waitAndKillGroup()
	p.exit = exitOf(status)
	cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	if p.exit.Limit = p.plan.Why(p.exit.Signal, cpu); p.exit.Limit != "" {
		p.exit.Reason += ": " + p.exit.Limit
	}
	close(p.reaped)
	p.deadline(time.Now().Add(drainWithin))
	go func() {
		p.pumps.Wait()
		close(p.done)
	}()
	for wait := time.Millisecond; !groupGone(p.pid) || len(p.plan.Running()) > 0; wait = min(2*wait, 100*time.Millisecond) {
		time.Sleep(wait)
	}
	p.plan.Close()
	close(p.gone)
}

// deadline ends the reading of output at a time; the zero time is never.
func (p *Process) deadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadlineLocked(t)
}

func (p *Process) deadlineLocked(t time.Time) {
	for _, r := range p.pipes {
		if r != nil {
			r.SetReadDeadline(t)
		}
	}
}

// signal sends sig to the group unless the child was reaped, for then the
// number may belong to somebody else, and the group was killed already.
func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isReaped {
		unix.Kill(-p.pid, sig)
		if sig == sigKill {
			p.plan.Kill()
		}
	}
}

func (p *Process) waitAndKillGroup() (status unix.WaitStatus, used unix.Rusage) {
	awaitEnd(p.pid)
	p.lockUnheld()
	defer p.mu.Unlock()
	unix.Kill(-p.pid, sigKill)
	p.plan.Kill()
	for {
		_, err := unix.Wait4(p.pid, &status, 0, &used)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.isReaped = true
	return status, used
}

func exitOf(status unix.WaitStatus) Exit {
	if status.Signaled() {
		name := unix.SignalName(status.Signal())
		if name == "" {
			name = fmt.Sprintf("signal %d", int(status.Signal()))
		}
		return Exit{Code: -1, Signal: name, Reason: "killed by " + name}
	}
	return Exit{Code: status.ExitStatus(), Reason: fmt.Sprintf("exit status %d", status.ExitStatus())}
}
