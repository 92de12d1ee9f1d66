//go:build unix

package node_test

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/stock/cas"
)

// callers call a server each, on a new connection when one is lost, until over is closed or the server is gone.
// progress gets an item for an answer now and then.
type callers struct {
	h        registertest.History
	wg       sync.WaitGroup
	ids      atomic.Int64
	over     chan struct{}
	progress chan struct{}
}

func (c *callers) begin(t *testing.T, addr string) {
	c.wg.Go(func() {
		guess := register.Uint(0)
		var client *cas.Client
		for {
			select {
			case <-c.over:
				if client != nil {
					client.Close()
				}
				return
			default:
			}
			if client == nil {
				var err error
				if client, err = cas.Dial(t.Context(), addr); err != nil {
					return
				}
			}
			id := c.ids.Add(1)
			op := register.Op{Old: guess, New: register.Uint(uint64(id))}
			present, err := c.h.Record(int(id), []register.Op{op}, func() (register.Number, error) { return client.CAS(t.Context(), op.Old, op.New) })
			if err != nil {
				client.Close()
				client = nil
				continue
			}
			guess = op.After(present)
			select {
			case c.progress <- struct{}{}:
			default:
			}
		}
	})
}

func (c *callers) await(n int) {
	for range n {
		<-c.progress
	}
}

func TestServices_ProcessesOfAllNodesShareOneRegister(t *testing.T) {
	t.Parallel()
	first, _ := start(t, node.Options{})
	dir := t.TempDir()
	join := func() *node.Node {
		n, err := node.Start(t.Context(), node.Options{Home: dir, URL: first.URL(), Key: first.KeyText()})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	second := join()
	defer func() { second.Stop() }()
	c := newCrew(t, first)
	deploy := func(settings string) []role.Status {
		r, _, err := c.roles.Deploy(t.Context(), "counter", role.Edition{
			Stock: cas.Name, Spec: master.Spec{Service: cas.Name, Listen: []string{"127.0.0.1:0"}, Procs: 2, Settings: []byte(settings)},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.follows(r, 2, "serving")
	}
	all := callers{over: make(chan struct{}), progress: make(chan struct{})}
	begin := func(nodes []role.Status) {
		for _, st := range nodes {
			for range 2 {
				all.begin(t, st.Sockets[0].Addr)
			}
		}
	}
	begin(deploy(""))
	for round := range 4 {
		all.await(50)
		for _, st := range c.await("processes", "counter", func(all []role.Status) bool { return len(all) == 2 }) {
			for i, p := range st.Processes {
				if i == round%2 && p.PID > 0 {
					syscall.Kill(p.PID, syscall.SIGKILL)
				}
			}
		}
		if round == 1 {
			deploy(`{"max_conns":50}`)
		}
		if round == 2 {
			second.Stop()
			second = join()
			begin(c.follows(c.record("it is there", "counter", func(role.Role) bool { return true }), 2, "serving"))
		}
	}
	all.await(50)
	close(all.over)
	all.wg.Wait()
	n, unknown := all.h.Len()
	t.Logf("%d operations, of %d nobody knows", n, unknown)
	all.h.Check(t, porcupine.Ok)
}
