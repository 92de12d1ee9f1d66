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
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
)

func init() {
	if os.Getenv(replacedEnv) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(keepEnv) != "":
		keep()
	case service.Kept():
	case os.Getenv(replacedEnv) != "":
		os.Exit(reexec.Main(replaced))
	default:
		os.Exit(m.Run())
	}
	offered := map[string]func() service.Service{"": answering, "doing": doing, "programs": programs}[os.Getenv(doingEnv)]()
	if err := service.RunKept(context.Background(), []service.Service{offered}, nil); err != nil {
		os.Exit(1)
	}
}

// answering answers each connection with a word of its settings. With the word "crash" it ends once
// the file of that name is there.
func answering() service.Service {
	word := "nothing"
	return service.Service{
		Name:      "answering",
		Configure: func(data json.RawMessage) error { return json.Unmarshal(data, &word) },
		Serve: service.Conn(func(_ context.Context, c net.Conn) error {
			if strings.HasPrefix(word, "crash") {
				syscall.Exit(3)
			}
			_, err := fmt.Fprintln(c, word)
			return err
		}, nil),
	}
}

func program(t *testing.T) master.Program {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return master.Program{Path: path, Env: os.Environ()}
}

func newMaster(t *testing.T, opts *master.Options) *master.Master {
	t.Helper()
	m, err := master.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

func spec(word string, listen ...string) master.Spec {
	data, _ := json.Marshal(word)
	return master.Spec{Listen: listen, Procs: 1, Settings: data}
}

func deploy(t *testing.T, m *master.Master, s master.Spec) keeper.Status {
	t.Helper()
	if err := m.Deploy(t.Context(), s, program(t)); err != nil {
		t.Fatal(err)
	}
	// The old version may accept one more connection until it has heard that it has to leave.
	return await(t, m, func(st keeper.Status) bool {
		return len(st.Processes) == s.Procs && st.Processes[0].Generation == st.Generation
	})
}

func ask(t *testing.T, network, addr, want string) {
	t.Helper()
	if got, err := answer(t, network, addr); got != want+"\n" {
		t.Errorf("%s answers %q, %v, want %q", addr, got, err, want)
	}
}

func answer(t *testing.T, network, addr string) (string, error) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return bufio.NewReader(c).ReadString('\n')
}

// askUntil asks until the version before has heard that it has to leave: it may take a connection meanwhile.
func askUntil(t *testing.T, network, addr, want string) {
	t.Helper()
	for ctx := t.Context(); ; {
		got, err := answer(t, network, addr)
		switch {
		case got == want+"\n":
			return
		case err != nil || ctx.Err() != nil:
			t.Fatalf("%s answers %q, %v, want %q", addr, got, err, want)
		}
	}
}

func await(t *testing.T, m *master.Master, f func(keeper.Status) bool) keeper.Status {
	t.Helper()
	for late := time.After(20 * time.Second); ; {
		changed := m.Changed()
		st := m.Status()
		if f(st) {
			return st
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("never happened: %+v", st)
		}
	}
}

// refused waits until nobody listens at an address any more.
func refused(t *testing.T, addr string) {
	t.Helper()
	for ctx := t.Context(); ctx.Err() == nil; {
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestDeploy_OpensAndClosesWhatAVersionAsksFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	m := newMaster(t, &master.Options{Keeper: keeper.Options{Probation: time.Millisecond}})
	first := deploy(t, m, spec("one", "127.0.0.1:0", "unix:"+path)).Sockets
	ask(t, "tcp", first[0].Addr, "one")
	ask(t, "unix", path, "one")
	second := deploy(t, m, spec("two", "127.0.0.1:0", "admin=127.0.0.1:0")).Sockets
	if second[0].Addr != first[0].Addr || second[1].Name != "admin" {
		t.Errorf("got %v after %v", second, first)
	}
	ask(t, "tcp", first[0].Addr, "two")
	ask(t, "tcp", second[1].Addr, "two")
	await(t, m, func(st keeper.Status) bool { return !st.Probation })
	for t.Context().Err() == nil { // its socket goes when the probation is over
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	deploy(t, m, spec("three", "127.0.0.1:0"))
	refused(t, second[1].Addr)
	ask(t, "tcp", first[0].Addr, "three")
}

func TestDeploy_ThatFailsLeavesTheSocketsAsTheyWere(t *testing.T) {
	var holders master.Holders
	other := newMaster(t, &master.Options{Name: "crunch", Holders: &holders})
	taken := deploy(t, other, spec("other", "127.0.0.1:0")).Sockets[0].Addr
	m := newMaster(t, &master.Options{Name: "mine", Holders: &holders})
	addr := deploy(t, m, spec("one", "127.0.0.1:0")).Sockets[0].Addr
	fresh := freePort(t)
	_, port, _ := net.SplitHostPort(taken)
	for _, at := range []string{taken, ":" + port} {
		err := m.Deploy(t.Context(), spec("two", "127.0.0.1:0", fresh, at), program(t))
		if want := fmt.Sprintf("cannot listen at %q: address already in use by role crunch", at); err == nil || err.Error() != want || fault.KindOf(err) != fault.Conflict {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	refused(t, fresh)
	if err := m.Deploy(t.Context(), master.Spec{Listen: []string{"127.0.0.1:0", fresh}, Service: "unknown"}, program(t)); fault.KindOf(err) != fault.Remote {
		t.Errorf("got %v", err)
	}
	refused(t, fresh)
	ask(t, "tcp", addr, "one")
}

func TestDeploy_ThatIsUndoneGivesTheSocketsBack(t *testing.T) {
	m := newMaster(t, &master.Options{Keeper: keeper.Options{MaxDeaths: -1}})
	old := deploy(t, m, spec("one", "127.0.0.1:0")).Sockets[0].Addr
	fresh := freePort(t)
	deploy(t, m, spec("crash", fresh))
	c, err := net.Dial("tcp", fresh)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	await(t, m, func(st keeper.Status) bool { return !st.Probation && st.Report != "" && st.Sockets[0].Addr == old })
	ask(t, "tcp", old, "one")
	refused(t, fresh)
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestSpec_ChecksBeforeAnythingStarts(t *testing.T) {
	for _, s := range []master.Spec{
		{Procs: -1}, {Procs: 5000}, {DrainMS: -1}, {StartMS: -1}, {ProbationMS: -1}, {Settings: []byte("{")}, {Listen: []string{"nowhere"}},
		{Listen: []string{":80", "http=:80"}},
	} {
		if err := s.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", s, err)
		}
	}
	if err := (master.Spec{Listen: []string{":0", ":0"}}).Check(); err != nil {
		t.Error(err)
	}
	a := master.Spec{Listen: []string{master.DefaultListen}, Procs: 7}
	if !a.SameCode(master.Spec{}) || a.SameCode(master.Spec{Service: "x"}) {
		t.Error("only the number of processes may differ")
	}
}
