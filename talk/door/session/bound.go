package session

import (
	"sync/atomic"
	"time"
)

// bound has something done when what is under way takes too long. There is one thing under way at a time. Its timer is neither set nor
// stopped for each: it looks when the last look cannot have seen it, and stands when there was nothing to see.
type bound struct {
	within time.Duration
	over   func()
	timer  *time.Timer
	set    atomic.Bool
	begun  atomic.Int64 // since epoch; 0: nothing is under way. Unit: nanoseconds
}

var epoch = time.Now()

func newBound(within time.Duration, over func()) *bound {
	b := &bound{within: within, over: over}
	b.timer = time.AfterFunc(time.Hour, b.look)
	b.timer.Stop()
	return b
}

func (b *bound) begin() {
	b.begun.Store(int64(time.Since(epoch)))
	b.wind(b.within)
}

func (b *bound) end() { b.begun.Store(0) }

// stop ends the bound itself.
func (b *bound) stop() { b.end(); b.timer.Stop() }

func (b *bound) wind(d time.Duration) {
	if b.set.CompareAndSwap(false, true) {
		b.timer.Reset(d)
	}
}

func (b *bound) look() {
	began := b.begun.Load()
	left := b.within - (time.Since(epoch) - time.Duration(began))
	switch {
	case began == 0:
		b.set.Store(false)
		if b.begun.Load() != 0 { // something began meanwhile
			b.wind(b.within)
		}
	case left > 0:
		b.timer.Reset(left)
	default:
		b.set.Store(false)
		b.over()
	}
}
