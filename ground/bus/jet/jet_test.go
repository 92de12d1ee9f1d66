package jet_test

import (
	"sync/atomic"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/bustest"
	"github.com/universal-server/become/ground/bus/jet"
)

func TestJet_OnTheEmbeddedServerIsABus(t *testing.T) {
	t.Parallel()
	url, ticket := embedded(t)
	bustest.Exercise(t, func(t *testing.T) bus.Bus {
		return connect(t, url, &jet.Options{Ticket: ticket})
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
