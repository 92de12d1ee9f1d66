package router

import (
	"slices"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/handoff"
)

// follow keeps to the processes that serve, and to the time of those who wait.
func (r *Router) follow() {
	late := time.NewTimer(0)
	defer late.Stop()
	for {
		changed := r.seats.Changed()
		if wait, ok := r.lookAround(); ok {
			late.Reset(wait)
		}
		select {
		case <-changed:
		case <-r.look:
		case <-late.C:
		case <-r.alive.Done():
			return
		}
	}
}

// refreshLocked takes over who serves now.
func (r *Router) refreshLocked() {
	addr := r.l.Addr()
	seats := r.seats.Seats(addr.Network(), addr.String())
	if slices.Equal(seats, r.now) {
		return
	}
	if len(r.now) == 0 {
		close(r.gate)
	}
	r.version++
	if r.now = seats; len(seats) == 0 {
		r.gate = make(chan struct{})
		nudge(r.settled)
		return
	}
	if route := seats[0].Route; route != r.route {
		policy, err := Parse(route)
		if err != nil {
			r.opts.Logger.Error("connections go where the fewest are", "err", err)
		}
		r.policy, r.route = policy, route
	}
}

// giveLocked hands a connection over, or lets it wait.
func (r *Router) giveLocked(h *held) {
	if r.closed {
		r.closeLocked(h)
		return
	}
	if r.sendLocked(h) {
		return
	}
	h.since = time.Now()
	r.waiting = append(r.waiting, h)
	if h.keyed {
		nudge(r.look)
	}
}

// sendLocked reports whether the connection has left who waits.
func (r *Router) sendLocked(h *held) bool {
	for s := r.chooseLocked(h); s != nil; s = r.chooseLocked(h) {
		err := s.Send(h.conn, h.read, func(taken bool) { r.sent(h, taken) })
		if err == nil {
			return true
		}
		if fault.KindOf(err) == fault.Invalid {
			r.opts.Logger.Error("closing a connection", "err", err)
			r.closeLocked(h)
			return true
		}
	}
	return false
}

// sent notes what became of a connection.
func (r *Router) sent(h *held, taken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case taken:
		r.releaseLocked()
	case r.closed:
		r.closeLocked(h)
	default: // it has waited longest
		h.since = time.Now()
		r.waiting = slices.Insert(r.waiting, 0, h)
		nudge(r.look)
	}
	r.giveWaitingLocked()
}

// giveWaitingLocked hands over what waits, oldest first, as far as there is room.
func (r *Router) giveWaitingLocked() {
	room := r.roomLocked()
	if len(r.waiting) == 0 || room == 0 {
		return
	}
	rest := r.waiting[:0]
	for i, h := range r.waiting {
		if room == 0 {
			rest = append(rest, r.waiting[i:]...)
			break
		}
		if r.sendLocked(h) {
			room--
		} else {
			rest = append(rest, h)
		}
	}
	clear(r.waiting[len(rest):])
	r.waiting = rest
}

func (r *Router) roomLocked() (room int) {
	for _, s := range r.now {
		_, n, _ := s.Sender.Load()
		room += n
	}
	return room
}

// lookAround hands over to those who serve now, and to any of them those who have waited long enough for
// the process of their key. It returns after how long the next one has.
func (r *Router) lookAround() (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refreshLocked()
	for _, h := range r.waiting {
		if !h.keyed {
			continue
		}
		left := r.opts.Patience - time.Since(h.since)
		switch {
		case left <= 0:
			h.keyed = false
		case !ok || left < wait:
			wait, ok = left, true
		}
	}
	r.giveWaitingLocked()
	return wait, ok
}

// chooseLocked returns who can be sent the connection now.
func (r *Router) chooseLocked(h *held) *handoff.Sender {
	if !h.keyed {
		return r.leastLocked()
	}
	if h.version != r.version || !takes(h.want) {
		if s := r.preferredLocked(h.key, false); !takes(s) { // it leaves: its successor may be there already
			r.refreshLocked()
		}
		h.want, h.version = r.preferredLocked(h.key, true), r.version
	}
	if h.want == nil {
		return nil
	}
	if _, room, ok := h.want.Load(); !ok || room == 0 {
		return nil
	}
	return h.want
}

func takes(s *handoff.Sender) bool {
	if s == nil {
		return false
	}
	_, _, ok := s.Load()
	return ok
}

// preferredLocked returns the process that a key belongs to: of all, or of those that take any.
func (r *Router) preferredLocked(key uint64, taking bool) (best *handoff.Sender) {
	var highest uint64
	for _, s := range r.now {
		if k := rank(key, s.Number); (best == nil || k > highest) && (!taking || takes(s.Sender)) {
			best, highest = s.Sender, k
		}
	}
	return best
}

// leastLocked returns the process with the fewest connections; of several, the one whose turn it is.
func (r *Router) leastLocked() (best *handoff.Sender) {
	fewest, at := 0, 0
	for i := range r.now {
		n := (r.turn + i) % len(r.now)
		s := r.now[n].Sender
		if open, room, _ := s.Load(); room > 0 && (best == nil || open < fewest) {
			best, fewest, at = s, open, n
		}
	}
	r.turn = at + 1
	return best
}
