package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/reexec"
)

// userHZ is the unit of CPU times in /proc: 100 on every Linux Go runs on.
const userHZ = 100

// errGone is what looking at a process that is no more answers, besides os.ErrNotExist.
var errGone error = unix.ESRCH

// starter runs functions on one operating system thread that lives as long as
// the process, unless the program has given its main thread for that. The kernel sends Pdeathsig when the *thread* that forked ends, and
// Go ends threads as it likes. This goroutine is the one of the package without an end.
var starter = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
})

// onStarter reports whether f ran on the main thread, which outlives even a change of the
// program.
func onStarter(f func()) (main bool) {
	if reexec.OnMain(f) {
		return true
	}
	done := make(chan struct{})
	starter() <- func() { defer close(done); f() }
	<-done
	return false
}

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func pipe() (r, w int, err error) {
	var fds [2]int
	err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
	return fds[0], fds[1], err
}

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// awaitEnd returns when the child has ended and leaves it unreaped.
func awaitEnd(pid int) {
	if awaitDescriptor(pid) {
		return
	}
	for { // a kernel before 5.10
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// awaitDescriptor is the same by pidfd_open(2), which costs no thread while it waits: a server
// of a thousand children would have a thousand. It is false when that cannot be done.
func awaitDescriptor(pid int) bool {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	return raw.Read(func(uintptr) bool {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		return err == nil && info.Signo == int32(unix.SIGCHLD) || err != nil && !errors.Is(err, unix.EINTR)
	}) == nil
}

// isChild reports whether a process, or its zombie, is this one's to wait for.
func isChild(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// groupGone reports whether no process of the group runs. One SIGKILL was enough
// for all of them: the kernel lets no fork slip past a signal to the group.
func groupGone(pgid int) bool {
	return errors.Is(unix.Kill(-pgid, 0), unix.ESRCH) || len(members(pgid)) == 0
}

// survivors tells who of a group runs, and of others that should not.
func survivors(pgid int, others []int) string {
	list := members(pgid)
	for _, pid := range others {
		if st, err := readStat(pid); err == nil && st.pgid != pgid && st.alive() {
			list = append(list, st)
		}
	}
	if len(list) == 0 {
		return "nobody seen in /proc"
	}
	texts := make([]string, len(list))
	for i, st := range list {
		texts[i] = fmt.Sprintf("%d %s (state %c)", st.pid, st.name, st.state)
	}
	return strings.Join(texts, ", ")
}

// members lists the processes of a group that are no zombies.
func members(pgid int) []stat {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []stat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && st.pgid == pgid && st.alive() {
			list = append(list, st)
		}
	}
	return list
}

// stat is what we use of /proc/PID/stat.
type stat struct {
	pid, pgid int
	name      string
	state     byte
	cpu       time.Duration
	start     string // ticks since boot
	rss       int64
}

func (s stat) alive() bool { return s.state != 'Z' && s.state != 'X' }

var errStat = errors.New("unexpected content of /proc/PID/stat")

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(pid, b)
}

// parseStat reads "pid (name) state ppid pgrp …"; the name may hold anything,
// parentheses and newlines too, so fields are counted from the last ')'.
func parseStat(pid int, b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, errStat
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 22 || len(fields[0]) != 1 {
		return stat{}, errStat
	}
	var n [4]int64
	for i, field := range []int{2, 11, 12, 21} { // pgrp, utime, stime, rss in pages
		v, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return stat{}, errStat
		}
		n[i] = v
	}
	return stat{
		pid: pid, pgid: int(n[0]), name: string(b[open+1 : end]), state: fields[0][0],
		cpu:   time.Duration(n[1]+n[2]) * (time.Second / userHZ),
		start: fields[19], rss: n[3] * int64(os.Getpagesize()),
	}, nil
}

func usage(pid int) (rss int64, cpu time.Duration, err error) {
	st, err := readStat(pid)
	if err == nil && !st.alive() {
		err = os.ErrNotExist
	}
	return st.rss, st.cpu, err
}

func startTime(pid int) (string, error) {
	st, err := readStat(pid)
	if err == nil && !st.alive() {
		err = os.ErrNotExist
	}
	return st.start, err
}
