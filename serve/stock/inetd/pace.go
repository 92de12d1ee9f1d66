package inetd

import (
	"context"
	"sync"
	"time"
)

// pace spreads starts so that no second has more than a number of them. mu guards what is below it.
type pace struct {
	mu   sync.Mutex
	last []time.Time // the latest starts, as many as a second may have
	next int         // the oldest of them
}

func newPace(perSecond int) *pace { return &pace{last: make([]time.Time, perSecond)} }

// reserve takes the next turn and says how long to wait for it.
func (p *pace) reserve(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := max(0, p.last[p.next].Add(time.Second).Sub(now))
	p.last[p.next] = now.Add(wait)
	p.next = (p.next + 1) % len(p.last)
	return wait
}

// wait waits for the next turn. It is false when ctx ended before.
func (p *pace) wait(ctx context.Context) bool {
	t := time.NewTimer(p.reserve(time.Now()))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
