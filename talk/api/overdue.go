package api

import (
	"sync"
	"time"
)

// overdue sees to it that requests with one timeout are answered when their handlers do not. Those that began first are due first, so one
// timer for the first of them is enough, and none is set or stopped while requests come and go in time. mu guards what
// is below it.
type overdue struct {
	after time.Duration // since they began

	mu          sync.Mutex
	first, last *turn
	set         bool // the timer runs
}

// add begins to watch a turn.
func (o *overdue) add(t *turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.watched, t.before = true, o.last
	if o.last == nil {
		o.first = t
	} else {
		o.last.next = t
	}
	o.last = t
	if !o.set {
		o.set = true
		time.AfterFunc(o.after, o.look)
	}
}

// remove ends it; false when the turn was found to be overdue.
func (o *overdue) remove(t *turn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !t.watched {
		return false
	}
	o.removeLocked(t)
	return true
}

func (o *overdue) removeLocked(t *turn) {
	if t.before == nil {
		o.first = t.next
	} else {
		t.before.next = t.next
	}
	if t.next == nil {
		o.last = t.before
	} else {
		t.next.before = t.before
	}
	t.watched, t.before, t.next = false, nil, nil
}

// look answers what is overdue. The timer stands when there is nothing to watch.
func (o *overdue) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := o.first; t != nil; t = o.first {
		if left := o.after - time.Since(t.begun); left > 0 {
			time.AfterFunc(left, o.look)
			return
		}
		o.removeLocked(t)
		go t.answerLate() // Answer waits for it
	}
	o.set = false
}
