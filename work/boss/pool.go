package boss

import (
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/work/task"
)

// pool is one bundle's calls and workers. mu guards everything below it; no
// frame is sent and no sink called while it is held.
type pool struct {
	b   *Boss
	key poolKey

	mu     sync.Mutex
	turns  []*backlog // functions with waiting calls, next one first
	funcs  map[string]*backlog
	lines  map[string]*workerLine // by worker id
	last   *workerLine            // got the last pack
	queued int
	active time.Time // when there was last a call
	full   int       // credit of all lines together
	ended  bool
	need   chan struct{}         // has an item when workers are wanted now
	deaths map[string]string     // worker id → why it died
	later  map[*Call]*time.Timer // calls that wait for their retry
}

func newPool(b *Boss, key poolKey) *pool {
	return &pool{
		b: b, key: key,
		funcs: map[string]*backlog{}, lines: map[string]*workerLine{}, deaths: map[string]string{}, later: map[*Call]*time.Timer{},
		active: time.Now(), need: make(chan struct{}, 1),
	}
}

// enqueue takes calls of one function that no pool holds.
func (p *pool) enqueue(calls []*Call) {
	p.mu.Lock()
	p.enqueueAndUnlock(nil, calls)
}

// takeFrom takes over a call that another pool, or this one, holds but has
// not in a backlog. Both locks are held while it moves, so that a cancel finds it in
// one of them; nobody takes two locks in another order, because calls only move from a pool to its
// successor and to a quarantine.
func (p *pool) takeFrom(from *pool, c *Call) {
	from.mu.Lock()
	if from == p {
		from = nil
	} else {
		p.mu.Lock()
	}
	if c.canceled || c.answered { // meanwhile
		p.mu.Unlock()
		if from != nil {
			from.mu.Unlock()
		}
		return
	}
	p.enqueueAndUnlock(from, []*Call{c})
}

// enqueueAndUnlock has the lock of p, and that of from if it is not nil.
func (p *pool) enqueueAndUnlock(from *pool, calls []*Call) {
	ended := p.ended
	var frames []frame
	if !ended {
		for _, c := range calls {
			c.pool.Store(p)
		}
		q := p.backlogLocked(calls[0].Function)
		q.push(calls)
		p.addedLocked(q, len(calls))
		frames = p.dispatchLocked(nil)
	}
	p.mu.Unlock()
	if from != nil {
		from.mu.Unlock()
	}
	if ended { // for want of use, just as they came
		p.reenter(calls)
	}
	p.send(frames)
}

// reenter takes calls to the pool's successor.
func (p *pool) reenter(calls []*Call) {
	next, err := p.b.pool(p.key)
	if err != nil {
		p.failCalls(calls, err)
		return
	}
	if calls[0].pool.Load() == nil { // new ones: nobody can cancel them yet
		next.enqueue(calls)
		return
	}
	for _, c := range calls {
		next.takeFrom(c.pool.Load(), c)
	}
}

// failCalls answers calls that p holds, or that no pool does, with err.
func (p *pool) failCalls(calls []*Call, err error) {
	var ends []ending
	p.mu.Lock()
	for _, c := range calls {
		if !c.canceled && !c.answered {
			c.answered = true
			ends = append(ends, failed(c, err))
		}
	}
	p.mu.Unlock()
	p.b.end(ends)
}

// buryLocked counts a cancelled call of q, whose turn ends when it was the last.
func (p *pool) buryLocked(q *backlog) {
	if q.bury(); q.len() == 0 {
		p.turns = slices.DeleteFunc(p.turns, func(other *backlog) bool { return other == q })
	}
}

func (p *pool) backlogLocked(function string) *backlog {
	q := p.funcs[function]
	if q == nil {
		q = &backlog{name: function}
		p.funcs[function] = q
	}
	return q
}

func (p *pool) addedLocked(q *backlog, n int) {
	if q.len() == n {
		p.turns = append(p.turns, q)
	}
	p.queued += n
	p.active = time.Now()
	if len(p.lines) == 0 {
		p.wantNow()
	}
}

func (p *pool) wantNow() {
	select {
	case p.need <- struct{}{}:
	default:
	}
}

// cancelCall ends a call where it is.
func (p *pool) cancelCall(c *Call) {
	p.mu.Lock()
	if now := c.pool.Load(); now != p { // it moved to a quarantine meanwhile
		p.mu.Unlock()
		now.cancelCall(c)
		return
	}
	if c.canceled || c.answered {
		p.mu.Unlock()
		return
	}
	c.canceled = true
	if c.ln == nil { // it waits here, for its retry, or to move
		if c.waiting {
			p.queued--
			p.buryLocked(p.funcs[c.Function])
		}
		if timer := p.later[c]; timer != nil {
			timer.Stop()
			delete(p.later, c)
		}
		p.mu.Unlock()
		p.b.end([]ending{canceled(c)})
		return
	}
	pk := c.pack
	f := newFrame(c.ln)
	*f.data = task.AppendCancel(*f.data, pk.id, c.position)
	p.mu.Unlock()
	pk.cut.Store(true)
	if pk.away.Load() {
		p.send([]frame{f})
	}
}

// fail answers every waiting call with err.
func (p *pool) fail(err error) {
	p.mu.Lock()
	var ends []ending
	for _, q := range p.turns {
		for q.len() > 0 {
			if c := q.pop(); !c.canceled {
				c.answered = true
				ends = append(ends, failed(c, err))
			}
		}
	}
	p.turns = nil
	p.queued = 0
	for c, timer := range p.later {
		timer.Stop()
		c.answered = true
		ends = append(ends, failed(c, err))
	}
	clear(p.later)
	p.mu.Unlock()
	p.b.end(ends)
}
