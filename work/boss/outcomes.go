package boss

import (
	"errors"
	"slices"
	"time"

	"github.com/universal-server/become/work/task"
)

// outcomes takes a frame of outcomes from a worker.
func (p *pool) outcomes(l *workerLine, o task.Outcomes) error {
	p.mu.Lock()
	pk := l.packs[o.Pack]
	if pk == nil || o.First != pk.done || o.Limit > pk.limit {
		p.mu.Unlock()
		return errors.New("outcomes of an unknown pack")
	}
	ends := slices.Grow(l.ends[:0], o.Count)
	by := l.worker()
	var later []delayed
	var bad error
	for items := o.Items; len(ends)+len(later) < o.Count; {
		out, rest, err := task.NextOutcome(items)
		if err != nil { // the line ends with it; what was read before counts
			bad = err
			break
		}
		items = rest
		c := pk.calls[pk.done]
		pk.calls[pk.done] = nil
		pk.done++
		c.ln, c.pack = nil, nil
		if out.Status == task.Retry && !c.canceled && c.tried < c.tries() {
			later = append(later, delayed{c, out.After})
			continue
		}
		c.answered = true
		ends = append(ends, ending{c, out, by})
	}
	if o.Count > 0 && o.Nanos > 0 {
		pk.q.observe(float64(o.Nanos) / float64(o.Count))
	}
	if bad == nil {
		ends = append(ends, p.returnedLocked(l, pk, o)...)
		switch {
		case o.Final && pk.done < pk.limit:
			bad = errors.New("a pack ended before its calls")
		case o.Final:
			delete(l.packs, pk.id)
		}
	}
	frames := p.dispatchLocked(nil)
	p.mu.Unlock()

	p.send(frames) // first: the worker must not wait for what the sinks do
	p.b.end(ends)
	clear(ends)
	l.ends = ends[:0]
	for _, d := range later {
		p.retryLater(d.call, d.after)
	}
	return bad
}

// returnedLocked takes back the calls of a pack that the worker did not begin.
func (p *pool) returnedLocked(l *workerLine, pk *pack, o task.Outcomes) []ending {
	if o.Limit >= pk.limit {
		return nil
	}
	back := slices.Clone(pk.calls[o.Limit:pk.limit])
	for _, c := range back {
		c.tried--
	}
	pk.limit = o.Limit
	if o.Limit == 0 { // untouched: the slots, or the function's own, are taken by others
		if l.rested == nil {
			l.rested = map[*backlog]time.Time{}
		}
		l.rested[pk.q] = time.Now().Add(2 * task.Budget)
		time.AfterFunc(2*task.Budget+time.Millisecond, p.dispatch)
	}
	return p.requeueLocked(pk.q, back)
}

// requeueLocked puts calls that were sent in vain before all others. Those
// cancelled meanwhile end here.
func (p *pool) requeueLocked(q *backlog, calls []*Call) (ends []ending) {
	live := calls[:0]
	for _, c := range calls {
		c.ln, c.pack = nil, nil
		if c.canceled {
			ends = append(ends, canceled(c))
			continue
		}
		c.state.Store(uint32(Queued))
		live = append(live, c)
	}
	if len(live) > 0 {
		q.pushFront(live)
		p.addedLocked(q, len(live))
	}
	return ends
}

type delayed struct {
	call  *Call
	after time.Duration
}

// retryLater sends a call again after a while, as its function wished.
func (p *pool) retryLater(c *Call, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.canceled {
		return
	}
	c.state.Store(uint32(Queued))
	p.later[c] = time.AfterFunc(after, func() {
		p.mu.Lock()
		_, mine := p.later[c]
		delete(p.later, c)
		p.mu.Unlock()
		if mine {
			p.takeFrom(p, c)
		}
	})
}
