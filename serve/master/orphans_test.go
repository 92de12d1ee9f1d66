//go:build linux || darwin

package master_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cgi"
	"github.com/universal-server/become/serve/stock/inetd"
)

const (
	// keepEnv makes the test binary a program with a master of programs, which tells where they listen.
	keepEnv = "MASTER_TEST_KEEP"
	// scriptEnv is the script that programs serves by cgi.
	scriptEnv = "MASTER_TEST_SCRIPT"
)

// programs starts a program for each connection at its first listener, and a script for each request at its
// second. Both say their number and stay.
func programs() service.Service {
	return service.Service{Name: "programs", Serve: func(ctx context.Context, s service.Sockets) error {
		listeners, err := s.Listeners()
		if err != nil {
			return err
		}
		scripts, err := cgi.New(os.Getenv(scriptEnv), nil)
		if err != nil {
			return err
		}
		server, err := inetd.New([]string{"/bin/sh", "-c", "echo $$; exec sleep 300"}, nil)
		if err != nil {
			return err
		}
		go http.Serve(listeners[1], scripts) // the test ends them with -9
		return server.Serve(ctx, listeners[0])
	}}
}

// keep is the program of keepEnv.
func keep() {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, keepEnv+"=") })
	m, err := master.New(nil)
	if err == nil {
		exe, _ := os.Executable()
		err = m.Deploy(context.Background(), master.Spec{Listen: []string{"inetd=127.0.0.1:0", "cgi=127.0.0.1:0"}, Procs: 1},
			master.Program{Path: exe, Env: append(env, doingEnv+"=programs")})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, s := range m.Status().Sockets {
		fmt.Println(s.Addr)
	}
	fmt.Println(m.Status().Processes[0].PID)
	select {}
}

func TestMaster_KilledTakesProcessesAndTheirProgramsAlong(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel kills children with their parent on Linux only")
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; echo $$; exec sleep 300\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), keepEnv+"=1", scriptEnv+"="+script)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := bufio.NewReader(out)
	program, request := line(t, r), line(t, r)
	pids := []string{line(t, r)}
	c, err := net.Dial("tcp", program)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pids = append(pids, line(t, bufio.NewReader(c)))
	answer, err := http.Get("http://" + request + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	pids = append(pids, line(t, bufio.NewReader(answer.Body)))

	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		for late := time.Now().Add(30 * time.Second); runs(n); runtime.Gosched() {
			if time.Now().After(late) {
				syscall.Kill(n, syscall.SIGKILL)
				t.Errorf("process %d outlives its master", n)
			}
		}
	}
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(text, err)
	}
	return strings.TrimSpace(text)
}

// runs says whether a process does; one that waits only to be reaped by somebody else does not.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return !strings.Contains(string(stat), ") Z ")
}
