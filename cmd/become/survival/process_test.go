//go:build linux

package survival

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processes are the keeper's children: those that serve.
func (k *keeper) processes() []int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", k.cmd.Process.Pid))
	var all []int
	for _, f := range files {
		text, _ := os.ReadFile(f) // a thread may end meanwhile
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// settle waits until so many processes serve and no other is left, and returns them.
func (k *keeper) settle(procs int) []int {
	k.t.Helper()
	var all []int
	eventually(k.t, func() bool {
		all = k.processes()
		return len(all) == procs
	})
	return all
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it never came true")
		}
	}
}

// stopped says whether all threads of a process stand still. The state of the process is that of its first thread; another may
// still be about to accept.
func stopped(pid int) bool {
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range all {
		if s := stateIn(thread); s != 'T' && s != 0 {
			return false
		}
	}
	return len(all) > 0
}

// alive says whether a process exists that has not ended.
func alive(pid int) bool { s := state(pid); return s != 0 && s != 'Z' }

// state is the letter of /proc/PID/stat, 0 if there is no such process.
func state(pid int) byte { return stateIn(fmt.Sprintf("/proc/%d/stat", pid)) }

func stateIn(file string) byte {
	text, err := os.ReadFile(file)
	i := strings.LastIndex(string(text), ") ")
	if err != nil || i < 0 {
		return 0
	}
	return text[i+2]
}

// files counts the open files of a process, sockets those that are some.
func files(pid int) (files, sockets int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	for _, n := range names {
		if to, err := os.Readlink(filepath.Join(dir, n.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	return len(names), sockets
}

// kill kills a process as the system does that is out of memory, and returns how many connections it had
// then: it is stopped before it is counted.
func kill(t *testing.T, pid int) (had int) {
	t.Helper()
	if syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return 0
	}
	eventually(t, func() bool { return stopped(pid) || !alive(pid) })
	_, sockets := files(pid)
	syscall.Kill(pid, syscall.SIGKILL)
	const own = 2 // the listener and the line to its keeper
	return max(0, sockets-own)
}
