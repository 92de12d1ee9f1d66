package register_test

import (
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
)

// Two nodes use a register while the bus goes away and comes back: what was under way may end in an
// error, and whatever was answered is true.
func TestStored_SurvivesItsBus(t *testing.T) {
	const nodes, clients, restarts = 2, 6, 3
	o := embed.Options{Dir: t.TempDir(), Key: key.New(), Name: "n"}
	s, err := embed.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Shutdown() }()
	where, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.Listen = where.Host
	ticket := o.Key.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
	views := make([]*register.Stored, nodes)
	for i := range views {
		b, err := jet.Connect(t.Context(), s.URL(), &jet.Options{Ticket: ticket})
		if err != nil {
			t.Fatal(err)
		}
		views[i] = stored(t, bucket(t, b), "r")
	}
	var h registertest.History
	var wg sync.WaitGroup
	var next atomic.Int64
	over, answered := make(chan struct{}), make(chan struct{})
	for i := range clients {
		wg.Go(func() {
			guess := register.Uint(0)
			for {
				id := next.Add(1)
				op := register.Op{Old: guess, New: register.Uint(uint64(id))}
				present, err := h.Swap(t.Context(), int(id), views[i%nodes], op)
				select {
				case <-over:
					return
				default:
				}
				if err != nil {
					t.Logf("operation %d: %v", id, err)
					continue
				}
				guess = op.After(present)
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		})
	}
	for range restarts {
		for range 50 {
			<-answered
		}
		s.Shutdown()
		if s, err = embed.Start(o); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		<-answered
	}
	close(over)
	wg.Wait()
	all, unknown := h.Len()
	t.Logf("%d operations, of %d nobody knows", all, unknown)
	h.Check(t, porcupine.Ok)
}
