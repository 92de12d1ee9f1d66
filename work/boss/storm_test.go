package boss_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/roster"
)

// counting is a town that counts how often its node is asked.
type counting struct {
	*town
	wants atomic.Int64
}

func (c *counting) Send(m bus.Message) error {
	if m.Subject == roster.SubjectWant {
		c.wants.Add(1)
	}
	return c.town.Send(m)
}

// Calls that come while workers start must not ask every node for each.
func TestBoss_AsksForWorkersNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &counting{town: newTown(t, 1)}
		x := boss.New(boss.Options{ID: "b", Bus: b})
		defer x.Close()
		start(t, x, "f", 1, nil)
		time.Sleep(time.Second)
		if n := b.wants.Load(); n != 2 { // one before the call, one because of it
			t.Errorf("%d wants for a call", n)
		}
		b.wants.Store(0)
		for range 10 {
			start(t, x, "f", 1000, nil)
			time.Sleep(10 * time.Millisecond) // of the bubble
		}
		if n := b.wants.Load(); n < 2 || n > 6 {
			t.Errorf("%d wants in 100 ms", n)
		}
	})
}
