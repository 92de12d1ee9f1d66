//go:build linux || darwin

package cas_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cas"
)

// The test binary is the server too, when a keeper starts it.
func TestMain(m *testing.M) {
	if !service.Kept() {
		os.Exit(m.Run())
	}
	time.AfterFunc(2*time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
	if err := service.RunKept(context.Background(), []service.Service{cas.Service(nil, nil)}, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newMaster(t *testing.T) *master.Master {
	t.Helper()
	m, err := master.New(&master.Options{Keeper: keeper.Options{MaxDeaths: -1, BackoffFirst: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		m.Close(ctx)
	})
	return m
}

func deploy(t *testing.T, m *master.Master, procs int, settings string) (addr string) {
	t.Helper()
	program := master.Program{Path: os.Args[0], Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")}
	err := m.Deploy(t.Context(), master.Spec{Procs: procs, Listen: []string{"127.0.0.1:0"}, Settings: []byte(settings), DrainMS: 5000}, program)
	if err != nil {
		t.Fatal(err)
	}
	return m.Status().Sockets[0].Addr
}

// traffic lets clients call until the returned function is called, each on a new connection when one
// is lost, and says what they saw.
func traffic(t *testing.T, addr string, clients int) (stop func() *registertest.History) {
	h, over := new(registertest.History), make(chan struct{})
	var wg sync.WaitGroup
	var next atomic.Int64 // who asks: a client whose answer never came asks nothing more
	for range clients {
		wg.Go(func() {
			guess := register.Uint(0)
			for c := (*cas.Client)(nil); ; {
				select {
				case <-over:
					if c != nil {
						c.Close()
					}
					return
				default:
				}
				if c == nil {
					var err error
					if c, err = cas.Dial(t.Context(), addr); err != nil {
						t.Errorf("nobody is there: %v", err)
						return
					}
				}
				id := next.Add(1)
				op := register.Op{Old: guess, New: register.Uint(uint64(id))}
				if id%16 == 0 { // long numbers are kept in another way
					op.New = parse(fmt.Sprintf("%d%030d", id, 0))
				}
				present, err := h.Record(int(id), []register.Op{op}, func() (register.Number, error) { return c.CAS(t.Context(), op.Old, op.New) })
				if err != nil {
					c.Close()
					c = nil
					continue
				}
				guess = op.After(present)
			}
		})
	}
	return func() *registertest.History {
		close(over)
		wg.Wait()
		return h
	}
}

// disturb kills processes and swaps versions.
func disturb(t *testing.T, m *master.Master, procs int, settings string) {
	for round := range 12 {
		st := m.Status()
		victim := st.Processes[rand.IntN(len(st.Processes))]
		if victim.PID > 0 {
			syscall.Kill(victim.PID, syscall.SIGKILL)
		}
		if round%3 == 2 {
			deploy(t, m, procs, settings)
		}
		for {
			changed := m.Changed()
			st := m.Status()
			ready := 0
			for _, p := range st.Processes {
				if p.State == keeper.Ready && p.PID != victim.PID {
					ready++
				}
			}
			if ready >= procs {
				break
			}
			<-changed
		}
	}
}

func TestService_ProcessesShareOneRegisterThatSurvivesThem(t *testing.T) {
	const procs, clients = 3, 5
	for name, settings := range map[string]func(testing.TB) string{
		"file":  func(t testing.TB) string { return fmt.Sprintf(`{"register":"file:%s/r"}`, t.TempDir()) },
		"owner": ownedRegister,
	} {
		t.Run(name, func(t *testing.T) {
			settings, m := settings(t), newMaster(t)
			stop := traffic(t, deploy(t, m, procs, settings), clients)
			disturb(t, m, procs, settings)
			h := stop()
			all, unknown := h.Len()
			t.Logf("%d operations, of %d nobody knows", all, unknown)
			if all < 100 || unknown > 100 {
				t.Errorf("%d operations, of %d nobody knows", all, unknown)
			}
			h.Check(t, porcupine.Ok)
		})
	}
}

// ownedRegister serves a register on a socket and returns the settings of those who use it.
func ownedRegister(t testing.TB) string {
	dir, err := os.MkdirTemp("", "cas")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- register.Serve(ctx, ln, []byte{0xab, 0xcd}, new(register.Memory), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	settings, err := cas.Share(nil, "unix:"+path, "abcd")
	if err != nil {
		t.Fatal(err)
	}
	return string(settings)
}

// What a server that forks for each client does without shared memory: the check sees that it is wrong.
func TestService_ARegisterPerProcessIsNotLinearizable(t *testing.T) {
	m := newMaster(t)
	addr := deploy(t, m, 2, "")
	served := func() bool {
		for _, p := range m.Status().Processes {
			if p.Open == 0 {
				return false
			}
		}
		return true
	}
	var clients []*cas.Client
	for changed := m.Changed(); !served(); changed = m.Changed() {
		clients = append(clients, client(t, addr))
		<-changed
	}
	history(t, len(clients), 50, func(id int) swapper { return clients[id] }).Check(t, porcupine.Illegal)
}

func TestService_SaysWhyItCannotServe(t *testing.T) {
	m := newMaster(t)
	for settings, want := range map[string]string{
		`{"register":"file:/nowhere/at/all"}`:       "cannot open register /nowhere/at/all: no such file or directory",
		`{"register":"unix:/nowhere","token":"00"}`: "cannot reach register /nowhere",
		`{"register":"somewhere"}`:                  "it is no address of a register",
		`{"max_lines":5}`:                           `unknown field "max_lines"`,
		`{"max_line":100000}`:                       "max_line is 100000, must be 1 to 65536",
		`{"idle_timeout":"soon"}`:                   `"soon" is no duration like 30s or 5m`,
		`{"idle_timeout":"-1s"}`:                    `"-1s" is no duration`,
		`{"max_conns":-1}`:                          "max_conns is -1",
		`[]`:                                        "want a JSON object, not an array",
	} {
		err := m.Deploy(t.Context(), master.Spec{Procs: 1, Listen: []string{"127.0.0.1:0"}, Settings: []byte(settings)},
			master.Program{Path: os.Args[0], Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")})
		if err == nil || !containsAll(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", settings, err, want)
		}
	}
}

func TestService_TakesItsSettings(t *testing.T) {
	m := newMaster(t)
	addr := deploy(t, m, 1, `{"max_line":9,"max_conns":1,"idle_timeout":"0s","line_timeout":"50ms"}`)
	c := dial(t, addr)
	io.WriteString(c, "0 1\n0 1234567\n0 12345678\n0 ")
	if got, err := io.ReadAll(c); string(got) != "0\n\r1\n\rBad Syntax\n\r" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
