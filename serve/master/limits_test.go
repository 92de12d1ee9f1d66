//go:build linux || darwin

package master_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
)

// doingEnv makes the test binary serve something else than answering: doing, or programs.
const doingEnv = "MASTER_TEST_DOING"

// filled is what "fill" takes.
var filled [][]byte

// doing does what a connection's first line says, and answers with the outcome.
func doing() service.Service {
	return service.Service{Name: "doing", Serve: service.Conn(func(_ context.Context, c net.Conn) error {
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			return err
		}
		what, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch what {
		case "pid":
			_, err = fmt.Fprintln(c, os.Getpid())
		case "read":
			_, rerr := os.ReadFile(arg)
			_, err = fmt.Fprintln(c, errors.Is(rerr, syscall.EACCES), rerr == nil)
		case "environment":
			_, err = fmt.Fprintln(c, os.Getenv(arg))
		case "fill":
			for {
				b := make([]byte, 1<<20)
				for i := 0; i < len(b); i += 4096 {
					b[i] = 1
				}
				filled = append(filled, b)
			}
		}
		return err
	}, nil)}
}

// tell makes a connection, says a line and returns the answer.
func tell(addr, line string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintln(c, line)
	got, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(got), err
}

// plain returns this test's program without the race detector, which takes so much memory that no limit
// of it means anything.
func plain(t *testing.T) master.Program {
	t.Helper()
	p := program(t)
	p.Env = append(p.Env, doingEnv+"=doing")
	info, ok := debug.ReadBuildInfo()
	if !ok || !slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return p
	}
	p.Path = filepath.Join(t.TempDir(), "plain")
	cmd := exec.Command("go", "test", "-c", "-o", p.Path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return p
}

func needsLinux(t *testing.T) {
	t.Helper()
	if !confine.Supported {
		t.Skip("processes are confined on Linux only")
	}
}

func TestLimits_AProcessOverItsMemoryIsReplacedAndTheOthersServeOn(t *testing.T) {
	needsLinux(t)
	m := newMaster(t, nil)
	s := master.Spec{Listen: []string{"127.0.0.1:0"}, Procs: 2, Limits: confine.Limits{Memory: 64 << 20}}
	if err := m.Deploy(t.Context(), s, plain(t)); err != nil {
		t.Fatal(err)
	}
	before := m.Status()
	addr := before.Sockets[0].Addr
	if len(before.Held) == 0 || !strings.HasPrefix(before.Held[0], "64 MiB of memory") {
		t.Errorf("held to %q", before.Held)
	}
	if got, err := tell(addr, "environment GOMEMLIMIT"); got != "60397974" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := tell(addr, "fill"); err == nil {
		t.Errorf("got %q, want the end of the process", got)
	}
	st := await(t, m, func(st keeper.Status) bool {
		return len(st.Processes) == 2 && st.Processes[0].Restarts+st.Processes[1].Restarts == 1 &&
			st.Processes[0].State == keeper.Ready && st.Processes[1].State == keeper.Ready
	})
	for i, p := range st.Processes {
		switch {
		case p.Restarts == 0 && p.PID != before.Processes[i].PID:
			t.Error("the other one was replaced too")
		case p.Restarts == 1 && !strings.Contains(p.Reason, "over its memory limit of 64 MiB"):
			t.Errorf("it does not say why: %s", p.Reason)
		}
	}
	for range 20 {
		if _, err := tell(addr, "pid"); err != nil {
			t.Error(err)
		}
	}
}

func TestLimits_NobodyGainsPrivilegesUnlessAsked(t *testing.T) {
	needsLinux(t)
	m := newMaster(t, nil)
	for _, allowed := range []bool{false, true} {
		s := spec("anything", "127.0.0.1:0")
		s.NewPrivileges = allowed
		st := deploy(t, m, s)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", st.Processes[0].PID))
		if want := fmt.Sprintf("NoNewPrivs:\t%d\n", map[bool]int{false: 1}[allowed]); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("new privileges %v: want %q, %v", allowed, want, err)
		}
	}
}

func TestLimits_LandlockHoldsInTheService(t *testing.T) {
	needsLinux(t)
	m := newMaster(t, nil)
	dir := t.TempDir()
	for _, name := range []string{"open", "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := program(t)
	p.Env = append(p.Env, doingEnv+"=doing")
	s := master.Spec{Listen: []string{"127.0.0.1:0"}, Procs: 1, Landlock: &confine.Landlock{ReadOnly: []string{filepath.Join(dir, "open")}}}
	if err := m.Deploy(t.Context(), s, p); fault.KindOf(err) == fault.Invalid {
		t.Skip(err) // a kernel without
	} else if err != nil {
		t.Fatal(err)
	}
	addr := m.Status().Sockets[0].Addr
	for name, want := range map[string]string{"open": "false true", "secret": "true false"} {
		if got, err := tell(addr, "read "+filepath.Join(dir, name)); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestLimits_ThatCannotBeHeldChangeNothing(t *testing.T) {
	m := newMaster(t, nil)
	addr := deploy(t, m, spec("one", "127.0.0.1:0")).Sockets[0].Addr
	for _, bad := range []master.Spec{
		{Limits: confine.Limits{Memory: 1}}, {Limits: confine.Limits{CPU: -1}},
		{Landlock: &confine.Landlock{ReadOnly: []string{"relative"}}},
	} {
		if err := bad.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
	s := spec("two", "127.0.0.1:0")
	s.Limits.OpenFiles = 1 << 30
	want := fault.Denied
	if runtime.GOOS != "linux" {
		want = fault.Invalid
	}
	if err := m.Deploy(t.Context(), s, program(t)); fault.KindOf(err) != want {
		t.Errorf("got %v", err)
	}
	ask(t, "tcp", addr, "one")
}

func TestSpec_LimitsTravelAsJSON(t *testing.T) {
	s := master.Spec{Limits: confine.Limits{CPU: 0.5}, Landlock: &confine.Landlock{ConnectPorts: []uint16{}}, NewPrivileges: true}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got master.Spec
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, s) || !got.Confined() {
		t.Errorf("got %+v, %v from %s", got, err, data)
	}
	if s.SameCode(master.Spec{}) || (master.Spec{NewPrivileges: true}).Confined() {
		t.Error("limits are a version of their own; privileges are no limit")
	}
}
