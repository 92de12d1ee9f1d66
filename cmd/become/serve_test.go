//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/serve/stock/cas"
)

// TestServe_EndsThoughNobodyReadsWhatItPrints stops a service whose output stands still, as behind a pager.
func TestServe_EndsThoughNobodyReadsWhatItPrints(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(exe, "serve", "echo", "--listen", "127.0.0.1:0", "--procs", "1")
	cmd.Args[0] = "become"
	cmd.Env = append(os.Environ(), "BECOME_HOME="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var said []byte
	for b := make([]byte, 1<<10); !bytes.Contains(said, []byte("become: serving echo")); {
		n, err := r.Read(b)
		if said = append(said, b[:n]...); err != nil {
			t.Fatalf("it said %q: %v", said, err)
		}
	}
	fill(t, w)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for { // the first drains; it may not have been heard when the second comes
		cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code != 0 && code != exitInterrupted { // 0: it had nothing left to print
				t.Errorf("exit code %d", code)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestServe_TheRegisterIsReachedBehindLandlock(t *testing.T) {
	spec, err := readFlags(t, "--landlock", "--read-write", "/srv")
	if err != nil {
		t.Fatal(err)
	}
	f := foreground{dir: t.TempDir(), serving: serving{what: "cas", spec: spec}}
	if err := f.settle(false); err != nil {
		t.Fatal(err)
	}
	s, err := cas.ReadSettings(f.spec.Settings)
	path, inFile := strings.CutPrefix(s.Register, "file:")
	if got := f.spec.Landlock.ReadWrite; err != nil || !inFile || !slices.Equal(got, []string{"/srv", filepath.Dir(path)}) {
		t.Errorf("the register is at %s (%v), and %q can be written", s.Register, err, got)
	}
}

// fill fills a pipe, whose end may be one that waits for a reader.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	defer w.Close()
	fd := int(w.Fd())
	for block := make([]byte, 1<<12); ; { // of this size it does not wait if there is room
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(p, 0); n == 0 {
			return
		} else if err != nil && err != syscall.EINTR {
			t.Fatal(err)
		}
		if _, err := syscall.Write(fd, block); err != nil {
			t.Fatal(err)
		}
	}
}
