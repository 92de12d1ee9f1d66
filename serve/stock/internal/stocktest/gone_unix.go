//go:build linux || darwin

package stocktest

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitGone waits until none of the processes runs: those whose numbers a program has printed. A zombie
// does not run.
func AwaitGone(t testing.TB, pids []string) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("no process was named")
	}
	late := time.Now().Add(patience)
	for _, pid := range pids {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		for running(n) {
			if time.Now().After(late) {
				t.Fatalf("process %d still runs", n)
			}
			runtime.Gosched()
		}
	}
}

func running(pid int) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return !bytes.Contains(stat, []byte(") Z "))
}
