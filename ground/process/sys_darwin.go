//go:build darwin

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func onStarter(f func()) (main bool) {
	f()
	return true // no child dies with a thread
}

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func pipe() (r, w int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		return -1, -1, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[0], fds[1], nil
}

func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	return fds, err
}

// errGone is what looking at a process that is no more answers.
var errGone = os.ErrNotExist

// awaitEnd returns when the child has ended and leaves it unreaped. Asking for
// events of a child that has ended already fails with ESRCH, which is an answer too.
func awaitEnd(pid int) {
	for !exitEvent(pid) {
		time.Sleep(20 * time.Millisecond) // out of descriptors, or a signal came
	}
}

func exitEvent(pid int) bool {
	kq, err := unix.Kqueue()
	if err != nil {
		return false
	}
	defer unix.Close(kq)
	unix.CloseOnExec(kq)
	ask := []unix.Kevent_t{{
		Ident: uint64(pid), Filter: unix.EVFILT_PROC,
		Flags: unix.EV_ADD | unix.EV_ONESHOT, Fflags: unix.NOTE_EXIT,
	}}
	n, err := unix.Kevent(kq, ask, make([]unix.Kevent_t, 1), nil)
	return n > 0 || errors.Is(err, unix.ESRCH)
}

// isChild reports whether a process, or its zombie, is this one's to wait for.
func isChild(pid int) bool {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	return err == nil && int(info.Eproc.Ppid) == os.Getpid()
}

// groupGone reports whether the group is empty, and kills what is in it again:
// not every kernel holds off a fork while the group is being signalled.
func groupGone(pgid int) bool {
	return errors.Is(unix.Kill(-pgid, syscall.SIGKILL), unix.ESRCH)
}

func survivors(pgid int, _ []int) string {
	out, err := ps("-A", "-o", "pgid=,pid=,stat=,comm=")
	if err != nil {
		return "unknown: " + err.Error()
	}
	var list []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) >= 4 && f[0] == strconv.Itoa(pgid) {
			list = append(list, fmt.Sprintf("%s %s (state %s)", f[1], f[3], f[2]))
		}
	}
	return strings.Join(list, ", ")
}

func ps(args ...string) (string, error) {
	out, err := exec.Command("/bin/ps", args...).Output()
	return strings.TrimSpace(string(out)), err
}

func usage(pid int) (rss int64, cpu time.Duration, err error) {
	out, err := ps("-o", "rss=,time=", "-p", strconv.Itoa(pid))
	if err != nil {
		return 0, 0, os.ErrNotExist
	}
	f := strings.Fields(out)
	if len(f) < 2 {
		return 0, 0, os.ErrNotExist
	}
	kib, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	cpu, err = parseClock(f[1])
	return kib << 10, cpu, err
}

// parseClock reads the time of ps: "[[hours:]minutes:]seconds.hundredths".
func parseClock(s string) (time.Duration, error) {
	var total float64
	for part := range strings.SplitSeq(s, ":") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, err
		}
		total = total*60 + v
	}
	return time.Duration(total * float64(time.Second)), nil
}

func startTime(pid int) (string, error) {
	out, err := ps("-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	state, start, ok := strings.Cut(out, " ")
	if err != nil || !ok || strings.HasPrefix(state, "Z") {
		return "", os.ErrNotExist
	}
	return strings.TrimSpace(start), nil
}
