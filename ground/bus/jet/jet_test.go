package jet_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/bustest"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/key"
)

func TestJet_OnTheEmbeddedServerIsABus(t *testing.T) {
	t.Parallel()
	k := key.New()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ticket := k.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
	bustest.Exercise(t, func(t *testing.T) bus.Bus {
		return connect(t, s.URL(), &jet.Options{Ticket: ticket})
	})
}

func TestJet_OnAServerOfItsOwnIsABus(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	bustest.Exercise(t, func(t *testing.T) bus.Bus { return connect(t, p.url(), nil) })
}

func TestJet_OnAClusterIsABus(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	var next atomic.Int64
	bustest.Exercise(t, func(t *testing.T) bus.Bus { return c.connect(t, int(next.Add(1))) })
}
