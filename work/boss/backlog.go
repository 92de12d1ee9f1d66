package boss

import "slices"

// backlog is the waiting calls of one function. Its queue is a slice with a
// head that moves: popping costs nothing.
type backlog struct {
	name  string
	calls []*Call
	head  int
	dead  int     // calls in it that were cancelled
	mean  float64 // nanoseconds a task takes, moving average; 0: not known yet
}

func (q *backlog) len() int { return len(q.calls) - q.head }

func (q *backlog) push(calls []*Call) {
	for _, c := range calls {
		c.waiting = true
	}
	if q.head > 1024 && q.head > len(q.calls)/2 {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
	q.calls = append(q.calls, calls...)
}

// pushFront puts calls before all others.
func (q *backlog) pushFront(calls []*Call) {
	for _, c := range calls {
		c.waiting = true
	}
	if q.head >= len(calls) {
		q.head -= len(calls)
		copy(q.calls[q.head:], calls)
		return
	}
	q.calls = slices.Concat(calls, q.calls[q.head:])
	q.head = 0
}

func (q *backlog) pop() *Call {
	c := q.calls[q.head]
	c.waiting = false
	if c.canceled {
		q.dead--
	}
	q.calls[q.head] = nil
	q.head++
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	}
	return c
}

// bury counts a call that was cancelled where it waits. It stays until its turn comes, or
// until such calls are most of the backlog: then they are swept out.
func (q *backlog) bury() {
	q.dead++
	if q.dead < 64 || q.dead < q.len()/2 {
		return
	}
	live := q.calls[:0]
	for _, c := range q.calls[q.head:] {
		if c.canceled {
			c.waiting = false
		} else {
			live = append(live, c)
		}
	}
	clear(q.calls[len(live):])
	q.calls, q.head, q.dead = live, 0, 0
}

// observe takes one more measurement of how long a task takes. Growth counts
// at once, so that packs shrink before they hide long tasks.
func (q *backlog) observe(nanos float64) {
	if q.mean == 0 || nanos > q.mean {
		q.mean = nanos
		return
	}
	q.mean += (nanos - q.mean) / 4
}
