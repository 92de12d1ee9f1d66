package register_test

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
)

func TestMemory_IsARegister(t *testing.T) {
	registertest.Exercise(t, func(*testing.T) func() register.Swapper {
		m := new(register.Memory)
		return func() register.Swapper { return m }
	})
}

func TestStored_OnTheBusInMemoryIsARegister(t *testing.T) {
	s := mem.New()
	exerciseStored(t, s.Connect)
}

func TestStored_OnJetStreamIsARegister(t *testing.T) {
	exerciseStored(t, jetBus(t))
}

// jetBus starts a server and returns what connects to it.
func jetBus(t *testing.T) (connect func() bus.Bus) {
	t.Helper()
	k := key.New()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ticket := k.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
	return func() bus.Bus {
		b, err := jet.Connect(t.Context(), s.URL(), &jet.Options{Ticket: ticket})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// exerciseStored gives each view a connection of its own, as each node has.
func exerciseStored(t *testing.T, connect func() bus.Bus) {
	n := 0
	registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
		n++
		name := "r" + string(rune('a'+n))
		return func() register.Swapper { return stored(t, bucket(t, connect()), name) }
	})
}

func bucket(t testing.TB, b bus.Bus) bus.KV {
	t.Helper()
	t.Cleanup(func() { b.Close() })
	kv, err := b.KV(t.Context(), bus.Spec{Name: register.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func stored(t testing.TB, kv bus.KV, name string) *register.Stored {
	s := register.NewStored(kv, name)
	t.Cleanup(func() { s.Close() })
	return s
}

var token = []byte("a token that both know")

// own serves a register on a socket; stop ends it and waits.
func own(t testing.TB, path string, r register.Swapper, o *register.OwnerOptions) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- register.Serve(ctx, ln, token, r, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the owner ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func dial(t testing.TB, path string) *register.Remote {
	t.Helper()
	r, err := register.Dial(t.Context(), path, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// socketPath is short enough for a socket.
func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("", "reg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestRemote_IsARegister(t *testing.T) {
	registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
		path := socketPath(t)
		own(t, path, new(register.Memory), nil)
		return func() register.Swapper { return dial(t, path) }
	})
}

// Two nodes, each with its own connection to the bus, serve their processes the same register.
func TestRemote_OfOwnersOnOneBusIsARegister(t *testing.T) {
	connect := jetBus(t)
	n := 0
	registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
		n++
		name := "n" + string(rune('a'+n))
		paths := []string{socketPath(t), socketPath(t)}
		for _, path := range paths {
			own(t, path, stored(t, bucket(t, connect()), name), &register.OwnerOptions{Identity: name})
		}
		next := 0
		return func() register.Swapper {
			next++
			return dial(t, paths[next%2])
		}
	})
}

func TestOpen_ReadsAddresses(t *testing.T) {
	path := socketPath(t)
	own(t, path, new(register.Memory), nil)
	for _, address := range []string{"", "file:" + path + ".f", "unix:" + path} {
		r, err := register.Open(t.Context(), address, hex.EncodeToString(token))
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		if got, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1)); got != register.Uint(0) || err != nil {
			t.Errorf("%q: got %v, %v", address, got, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, bad := range []struct {
		address, token string
		want           fault.Kind
	}{
		{"x", "", fault.Invalid}, {"unix:", "", fault.Invalid}, {"file:", "", fault.Invalid}, {"tcp:a", "", fault.Invalid},
		{"unix:" + path, "xyz", fault.Invalid}, {"unix:" + path, "", fault.Denied}, {"unix:" + path, "00", fault.Denied},
		{"unix:" + path + "x", "", fault.Lost}, {"file:" + path, "", fault.Internal}, {"file:" + path + "/x/y", "", fault.Internal},
		{"file:/nowhere/at/all", "", fault.Invalid},
	} {
		r, err := register.Open(t.Context(), bad.address, bad.token)
		if fault.KindOf(err) != bad.want || r != nil {
			t.Errorf("%q: got %v, %v (%v), want %v", bad.address, r, err, fault.KindOf(err), bad.want)
		}
	}
}

// In memory operations are so fast that they rarely meet: many are needed.
func TestMemoryAndFile_LoseNoIncrement(t *testing.T) {
	m, path := new(register.Memory), filepath.Join(t.TempDir(), "r")
	views := map[string]func() register.Swapper{"memory": func() register.Swapper { return m }}
	if f, err := register.OpenFile(path); err == nil {
		f.Close()
		views["file"] = func() register.Swapper {
			f, err := register.OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
	}
	for name, open := range views {
		const clients, each = 4, 50_000
		var wg sync.WaitGroup
		for range clients {
			r := open()
			wg.Go(func() {
				now := register.Uint(0)
				for won := 0; won < each; {
					got, _ := register.CAS(t.Context(), r, now, register.Uint(now.Big().Uint64()+1))
					if got == now {
						won++
						got = register.Uint(now.Big().Uint64() + 1)
					}
					now = got
				}
			})
		}
		wg.Wait()
		if got, _ := open().Swap(t.Context(), nil); got != register.Uint(clients*each) {
			t.Errorf("%s: %d increments make %s", name, clients*each, got)
		}
	}
}
