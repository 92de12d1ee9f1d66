package session

import (
	"sync/atomic"
	"time"
)

// handOver is how often it is looked whether a request keeps the reader: one that takes this long to twice as long loses it. It is so
// long because a timer makes every wait for the network dearer that it would end; see pace for requests that take long as a rule.
const handOver = 20 * time.Millisecond

// hand passes the reading of a session on. Why a clock that ticks while there are requests, and not one that is set for each?
// Setting one that is the next to ring wakes the thread that waits for the network, which costs more than a request does.
type hand struct {
	read    func()        // starts another reader
	turn    atomic.Uint64 // odd while the reader answers; it only grows
	ticking atomic.Bool
	clock   *time.Timer
	seen    uint64 // at the last tick, whose own it is
}

func newHand(read func()) *hand {
	h := &hand{read: read}
	h.clock = time.AfterFunc(time.Hour, h.tick)
	h.clock.Stop()
	return h
}

// begin notes that the reader answers.
func (h *hand) begin() (turn uint64) {
	turn = h.turn.Add(1)
	h.wind()
	return turn
}

// pass ends the reading of who began.
func (h *hand) pass(turn uint64) {
	if h.end(turn) {
		h.read()
	}
}

// end reports whether who began is still the reader.
func (h *hand) end(turn uint64) bool { return h.turn.CompareAndSwap(turn, turn+1) }

func (h *hand) wind() {
	if h.ticking.CompareAndSwap(false, true) {
		h.clock.Reset(handOver)
	}
}

// tick looks whether the reader still answers what it did at the last tick. The clock stands when nothing has happened.
func (h *hand) tick() {
	turn := h.turn.Load()
	still := turn == h.seen
	h.seen = turn
	switch {
	case still && turn%2 == 1:
		h.pass(turn)
	case still:
		h.ticking.Store(false)
		if h.turn.Load() != turn { // a request came meanwhile
			h.wind()
		}
		return
	}
	h.clock.Reset(handOver)
}

// A request that takes no longer than quick is done before another goroutine would have begun to read, or nearly. A kind of request
// is quick when the last few were.
const (
	quick = 200 * time.Microsecond
	few   = 4
)

// pace is how long requests of one kind take. The zero value is not known, and so not quick.
type pace struct{ row atomic.Int32 }

// quick says whether the reader is to answer the next one itself.
func (p *pace) quick() bool { return p.row.Load() >= few }

// took notes how long one has taken. That of two at the same time one may be lost does not matter.
func (p *pace) took(d time.Duration) {
	n := p.row.Load()
	switch {
	case d > quick && n > 0:
		p.row.Store(0)
	case d <= quick && n < few:
		p.row.Store(n + 1)
	}
}
