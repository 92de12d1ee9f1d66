package confine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// Supported says whether this system can confine a process at all.
const Supported = true

// Self is what a confined process is started as: this program, even if its file was
// replaced.
const Self = "/proc/self/exe"

// Plan is how rules hold for one process, from before its start until it is gone. A nil Plan is
// one without rules. Kill may be called at any time, the rest by one goroutine at a time.
type Plan struct {
	rules   Rules
	group   *group      // or nil
	abi     int         // of Landlock, if asked for
	watched bool        // no control group counts the memory
	over    atomic.Bool // set by Watch
}

// NewPlan finds out how this machine can hold a process to the rules, and makes its control group if it
// needs one. Close it. fault.Invalid when the machine cannot, or the rules are wrong; nil and no
// error without rules.
func NewPlan(r Rules) (*Plan, error) {
	if r.Zero() {
		return nil, nil
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	p := &Plan{rules: r}
	if r.Landlock != nil {
		var err error
		if p.abi, err = landlockABI(r.Landlock); err != nil {
			return nil, err
		}
	}
	if err := p.makeGroup(); err != nil {
		return nil, err
	}
	return p, nil
}

// makeGroup makes the control group that the limits need. Only memory can do without.
func (p *Plan) makeGroup() (err error) {
	l := p.rules.Limits
	counted := Limits{Memory: l.Memory, CPU: l.CPU, Tasks: l.Tasks}
	p.group, err = newGroup(counted)
	if err != nil && l.Memory > 0 {
		p.watched, counted.Memory = true, 0
		p.group, err = newGroup(counted)
	}
	if err != nil {
		return fault.New(fault.Invalid, "limit CPU or tasks", "", err).
			WithHint("it needs cgroup v2 with a writable place, as in: systemd-run --scope -p Delegate=yes become ...")
	}
	return nil
}

// Attr lets the process be born into its control group. The function releases what that needs, after
// the start.
func (p *Plan) Attr(attr *syscall.SysProcAttr) (release func(), err error) {
	if p == nil || p.group == nil {
		return func() {}, nil
	}
	dir, err := os.Open(p.group.dir)
	if err != nil {
		return nil, err
	}
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	return func() { dir.Close() }, nil
}

// Order returns the environment variable that tells a process started from Self to obey the rules and
// then to execute path. Its descriptor report tells how that went: see Obeyed.
func (p *Plan) Order(path string, report int) (string, error) {
	o := order{Path: path, Report: report, NoNewPrivileges: p.rules.NoNewPrivileges, Landlock: p.rules.Landlock, ABI: p.abi}
	l := p.rules.Limits
	if n := uint64(l.CPUSeconds); n > 0 {
		// SIGXCPU says why. Who ignores it, as programs of Go do, is killed a second later.
		o.Rlimits = append(o.Rlimits, rlimit{"CPU seconds", unix.RLIMIT_CPU, n, n + 1})
	}
	o.add("size of core dumps", unix.RLIMIT_CORE, l.CoreSize)
	o.add("open files", unix.RLIMIT_NOFILE, int64(l.OpenFiles))
	if p.watched {
		o.add("memory", unix.RLIMIT_DATA, l.Memory+dataSpare)
	}
	data, err := json.Marshal(o)
	if err == nil && len(data) > maxOrder {
		err = fmt.Errorf("the rules are longer than %d bytes", maxOrder)
	}
	return orderEnv + "=" + string(data), err
}

// Obeyed returns when the process has become its program or failed to. It reads the other end of
// the descriptor that Order named, which it closes.
func Obeyed(ctx context.Context, report *os.File) error {
	defer report.Close()
	defer context.AfterFunc(ctx, func() { report.SetReadDeadline(time.Unix(1, 0)) })()
	data, err := io.ReadAll(io.LimitReader(report, maxOrder))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil || len(data) == 0 { // it became the program, or died
		return err
	}
	var f failure
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	return f.err()
}

// Held tells what is in force, each with its means where there are two.
func (p *Plan) Held() []string {
	if p == nil {
		return nil
	}
	var all []string
	l := p.rules.Limits
	add := func(on bool, format string, args ...any) {
		if on {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(l.Memory > 0 && !p.watched, "%s of memory (cgroup)", Bytes(l.Memory))
	add(p.watched, "%s of memory (watched)", Bytes(l.Memory))
	add(l.CPU > 0, "%g of a CPU (cgroup)", l.CPU)
	add(l.Tasks > 0, "%d tasks (cgroup)", l.Tasks)
	add(l.OpenFiles > 0, "%d open files", l.OpenFiles)
	add(l.CPUSeconds > 0, "%d s of CPU time", l.CPUSeconds)
	add(l.CoreSize != 0, "core dumps of %s", Bytes(max(0, l.CoreSize)))
	add(p.rules.NoNewPrivileges || p.rules.Landlock != nil, "no new privileges")
	add(p.rules.Landlock != nil, "Landlock")
	return all
}

// Watch kills the process when it holds more memory than it may, if no control group does. It returns
// then, or when the process has ended.
func (p *Plan) Watch(pid int, ended <-chan struct{}, kill func()) {
	if p == nil || !p.watched {
		return
	}
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return
		case <-look.C:
		}
		if resident(pid) > p.rules.Limits.Memory {
			p.over.Store(true)
			kill()
			return
		}
	}
}

// resident is how much memory a process holds, in bytes: the second number of /proc/PID/statm, in
// pages.
func resident(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// Why returns the limit that the process was killed for, or "". It is asked after the end,
// with the signal's name and the CPU time used.
func (p *Plan) Why(signal string, cpu time.Duration) string {
	if p == nil || signal != "SIGKILL" && signal != "SIGXCPU" {
		return ""
	}
	l := p.rules.Limits
	// The kernel counts ticks for the limit, and time for cpu; where machines are shared it is less.
	usedUp := signal == "SIGXCPU" || cpu >= time.Duration(l.CPUSeconds)*time.Second/2
	switch {
	case signal == "SIGKILL" && (p.over.Load() || p.group != nil && p.group.outOfMemory()):
		return "over its memory limit of " + Bytes(l.Memory)
	case l.CPUSeconds > 0 && usedUp:
		return fmt.Sprintf("over its limit of %d s of CPU time", l.CPUSeconds)
	}
	return ""
}

// Kill kills all that the control group holds, those too that left the process's group.
func (p *Plan) Kill() {
	if p != nil && p.group != nil {
		p.group.kill()
	}
}

// Running lists the processes that the control group holds.
func (p *Plan) Running() []int {
	if p == nil || p.group == nil {
		return nil
	}
	return p.group.running()
}

// Close removes the control group once nothing runs in it any more. It is called once.
func (p *Plan) Close() {
	if p != nil && p.group != nil {
		p.group.remove()
	}
}

// failure is what a process reports that could not obey.
type failure struct {
	Op    string        `json:"op,omitempty"`
	Text  string        `json:"text,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"`
}

func failureOf(op string, err error) failure {
	f := failure{Op: op}
	if !errors.As(err, &f.Errno) {
		f.Text = err.Error()
	}
	return f
}

func (f failure) err() error {
	var err error = f.Errno
	if f.Text != "" {
		err = errors.New(f.Text)
	}
	if f.Op == "" {
		return err
	}
	return fmt.Errorf("%s: %w", f.Op, err)
}
