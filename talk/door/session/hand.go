package session

import (
	"sync/atomic"
	"time"
)

// handOver is how often it is looked whether a request keeps the reader: one that takes this long to twice as long loses it.
const handOver = time.Millisecond

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
		if h.turn.CompareAndSwap(turn, turn+1) {
			h.read()
		}
	case still:
		h.ticking.Store(false)
		if h.turn.Load() != turn { // a request came meanwhile
			h.wind()
		}
		return
	}
	h.clock.Reset(handOver)
}
