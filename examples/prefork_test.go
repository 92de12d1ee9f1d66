package examples_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prefork serves a folder by four processes, one of which is killed, and all of which are replaced.
func prefork(t *testing.T, p program) {
	if !p.alone || runtime.GOOS == "windows" {
		return
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, p.path, "--listen", "127.0.0.1:0", "--dir", dir)
	out := &output{news: make(chan struct{})}
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	serving := regexp.MustCompile(`Serving at (http://\S+) using 4 worker processes\nTo exit press Ctrl-C\n`)
	out.until(t, "it serves", func() bool { return serving.MatchString(out.String()) })
	url := serving.FindStringSubmatch(out.String())[1]
	ask := func() {
		t.Helper()
		defer http.DefaultClient.CloseIdleConnections() // the next one may go to another process
		if got := get(t, url+"/hello.txt"); got != "hello\n" {
			t.Errorf("got %q", got)
		}
	}
	ask()
	line := regexp.MustCompile(`(?m)^\[Process-[1-4]\]\t"GET /hello\.txt HTTP/1\.1" 200 -$`)
	out.until(t, "a line of the log", func() bool { return line.MatchString(out.String()) })
	for n := range 4 {
		out.until(t, "all processes", func() bool { return len(started(t, out, n+1)) == 1 })
	}
	send(started(t, out, 2)[0], os.Kill)
	out.until(t, "a killed process is replaced", func() bool { return len(started(t, out, 2)) == 2 })
	ask()
	cmd.Process.Signal(syscall.SIGHUP)
	out.until(t, "all processes are replaced", func() bool { return len(started(t, out, 1)) == 2 && len(started(t, out, 2)) == 3 })
	ask()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for n := range 4 {
		if all := started(t, out, n+1); slices.ContainsFunc(all, func(pid int) bool { return send(pid, syscall.Signal(0)) == nil }) {
			t.Errorf("a process of %v lives on", all)
		}
	}
}

func send(pid int, sig os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(sig)
}

// started are the processes of that number, in their order.
func started(t *testing.T, out *output, number int) (pids []int) {
	t.Helper()
	for _, line := range strings.Split(out.String(), "\n") {
		if text, ok := strings.CutPrefix(line, fmt.Sprintf("[Process-%d]\tstarting server, process ", number)); ok {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
