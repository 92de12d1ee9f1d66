package boss

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// packTime is how much work a pack should hold: enough to make its journey
// cheap, little enough that the slots end together.
const packTime = time.Millisecond

// packBytes bounds a pack's inputs.
const packBytes = 128 << 10

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

// backlog is the waiting calls of one function. Its queue is a slice with a
// head that moves: popping costs nothing.
type backlog struct {
	name  string
	calls []*Call
	head  int
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
	q.calls[q.head] = nil
	q.head++
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	}
	return c
}

// workerLine is a line to a worker. Guarded by the pool's mutex, but for
// conn and ends.
type workerLine struct {
	conn   *line.Conn
	to     roster.Endpoint
	credit int
	packs  map[uint64]*pack
	nextID uint64
	demand int                    // what the worker is to be told
	rested map[*backlog]time.Time // until then it gets no packs of these: it returned one untouched
	ends   []ending               // outcomes' own, for the goroutine that reads the line

	telling sync.Mutex // held while demand is sent; taken before the pool's mutex
	told    int        // what the worker was last told; guarded by telling
}

func (l *workerLine) free() int { return l.credit - len(l.packs) }

// restsFrom reports whether the worker just said that it has no slot for q.
func (l *workerLine) restsFrom(q *backlog) bool {
	until, ok := l.rested[q]
	if ok && time.Now().After(until) {
		delete(l.rested, q)
		return false
	}
	return ok
}

func (l *workerLine) worker() Worker {
	return Worker{ID: l.to.Worker, Node: l.to.Node, PID: l.to.PID}
}

// pack is calls under way together.
type pack struct {
	id    uint64
	q     *backlog
	calls []*Call // nil where returned
	done  int     // calls below it are answered
	limit int     // calls from it on were returned
	sent  time.Time

	// Frames are sent without the lock, so a cancel could overtake the pack it is about:
	// who cancels sets cut and sends only if away is set; who sends the pack sets away and then
	// looks at cut.
	away atomic.Bool
	cut  atomic.Bool
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

// frame is something to send once the lock is free.
type frame struct {
	l    *workerLine
	data *[]byte // nil: the line's demand, whatever it is when it is sent
	pack *pack   // the one it carries, or nil
}

var frameBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func newFrame(l *workerLine) frame {
	data := frameBuffers.Get().(*[]byte)
	*data = (*data)[:0]
	return frame{l: l, data: data}
}

// send writes the frames. A line that fails is noticed by its reader.
func (p *pool) send(frames []frame) {
	for _, f := range frames {
		if f.data == nil {
			p.sendDemand(f.l)
			continue
		}
		f.l.conn.Send(*f.data)
		if cap(*f.data) <= 256<<10 {
			frameBuffers.Put(f.data)
		}
		if f.pack == nil {
			continue
		}
		f.pack.away.Store(true)
		if f.pack.cut.Load() {
			p.sendCancels(f.l, f.pack)
		}
	}
}

// sendDemand tells a worker the newest demand: two that are sent without the
// lock could overtake each other, and the worker would believe the older one.
func (p *pool) sendDemand(l *workerLine) {
	l.telling.Lock()
	defer l.telling.Unlock()
	p.mu.Lock()
	demand := l.demand
	p.mu.Unlock()
	if (demand > 0) != (l.told > 0) {
		l.told = demand
		var buf [16]byte
		l.conn.Send(task.AppendDemand(buf[:0], demand))
	}
}

// sendCancels tells the worker of the calls of a pack that were cancelled
// while it was being sent.
func (p *pool) sendCancels(l *workerLine, pk *pack) {
	var frames []frame
	p.mu.Lock()
	for i, c := range pk.calls {
		if c != nil && c.canceled && c.pack == pk {
			f := newFrame(l)
			*f.data = task.AppendCancel(*f.data, pk.id, i)
			frames = append(frames, f)
		}
	}
	p.mu.Unlock()
	p.send(frames)
}

// dispatchLocked fills the credit there is with packs from the backlogs, in
// turns, and tells the workers what else is wanted.
func (p *pool) dispatchLocked(frames []frame) []frame {
	for passed := 0; passed < len(p.turns); {
		q := p.turns[0]
		l := p.freestLocked(q)
		if l == nil && !p.anyFreeLocked() {
			break
		}
		if l == nil { // the turn is the next one's: its workers may be others
			p.turns = append(p.turns[1:], q)
			passed++
			continue
		}
		passed = 0
		pk := p.fillLocked(q)
		if q.len() == 0 {
			p.turns = p.turns[1:]
		} else if len(p.turns) > 1 {
			p.turns = append(p.turns[1:], q)
		}
		if pk != nil {
			frames = append(frames, p.launchLocked(l, pk))
		}
	}
	if len(p.turns) == 0 {
		p.turns = p.turns[:0:0]
	}
	for _, l := range p.lines {
		demand := 0
		if p.queued > 0 {
			demand = p.queued
		}
		if demand > 0 != (l.demand > 0) {
			l.demand = demand
			frames = append(frames, frame{l: l}) // see sendDemand
		}
	}
	return frames
}

func (p *pool) anyFreeLocked() bool {
	for _, l := range p.lines {
		if l.free() > 0 {
			return true
		}
	}
	return false
}

// freestLocked returns the line with the most credit left for q, or nil. Among
// equals it is the one used last, whose worker is still awake: calls made one after
// another are faster so.
func (p *pool) freestLocked(q *backlog) *workerLine {
	var best *workerLine
	for _, l := range p.lines {
		if l.free() <= 0 || l.restsFrom(q) {
			continue
		}
		if best == nil || l.free() > best.free() || l.free() == best.free() && l == p.last {
			best = l
		}
	}
	return best
}

// fillLocked takes the next pack off a backlog; nil when only cancelled calls
// were left.
func (p *pool) fillLocked(q *backlog) *pack {
	most := p.packSizeLocked(q)
	pk := &pack{q: q, sent: time.Now()}
	bytes := 0
	for q.len() > 0 && len(pk.calls) < most {
		c := q.calls[q.head]
		if c.canceled {
			q.pop()
			continue
		}
		if len(pk.calls) > 0 && (!c.alike(pk.calls[0]) || bytes+len(c.Input.Data) > packBytes) {
			break
		}
		q.pop()
		p.queued--
		bytes += len(c.Input.Data)
		if pk.calls == nil {
			pk.calls = make([]*Call, 0, min(most, q.len()+1))
		}
		pk.calls = append(pk.calls, c)
	}
	if len(pk.calls) == 0 {
		return nil
	}
	pk.limit = len(pk.calls)
	return pk
}

// packSizeLocked says how many calls of q to send at once: as many as make
// packTime of work, but leaving some for every slot, so that they end together.
func (p *pool) packSizeLocked(q *backlog) int {
	if q.mean == 0 {
		return 1
	}
	byTime := int(float64(packTime) / q.mean)
	byShare := q.len() / (2 * max(1, p.full))
	return max(1, min(byTime, byShare, task.MaxTasks))
}

func (p *pool) launchLocked(l *workerLine, pk *pack) frame {
	p.last = l
	l.nextID++
	pk.id = l.nextID
	l.packs[pk.id] = pk
	first := pk.calls[0]
	f := newFrame(l)
	f.pack = pk
	buf := task.AppendPack(*f.data, &task.Pack{
		ID: pk.id, Function: pk.q.name, Format: first.Format, Timeout: first.Timeout, Origin: p.b.opts.ID, Count: len(pk.calls),
	})
	for i, c := range pk.calls {
		buf = task.AppendValue(buf, c.Input)
		c.ln, c.pack, c.position = l, pk, i
		c.tried++
		c.state.Store(uint32(Running))
	}
	*f.data = buf
	return f
}

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

// observe takes one more measurement of how long a task takes. Growth counts
// at once, so that packs shrink before they hide long tasks.
func (q *backlog) observe(nanos float64) {
	if q.mean == 0 || nanos > q.mean {
		q.mean = nanos
		return
	}
	q.mean += (nanos - q.mean) / 4
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

func (p *pool) dispatch() {
	p.mu.Lock()
	frames := p.dispatchLocked(nil)
	p.mu.Unlock()
	p.send(frames)
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

// lineEnded takes back what was under way on a line whose worker is gone.
func (p *pool) lineEnded(l *workerLine, cause error) {
	p.mu.Lock()
	if p.lines[l.to.Worker] == l {
		delete(p.lines, l.to.Worker)
		p.full -= l.credit
	}
	var ends []ending
	var solo, lost []*Call
	for _, pk := range l.packs {
		var back []*Call
		for _, c := range pk.calls[pk.done:pk.limit] {
			c.lost++
			switch {
			case c.canceled:
				ends = append(ends, canceled(c))
			case c.tried >= c.tries():
				c.answered = true
				lost = append(lost, c)
			case c.tried == c.tries()-1 && c.lost > 0 && !p.key.solo:
				c.state.Store(uint32(Queued))
				c.ln, c.pack = nil, nil
				solo = append(solo, c)
			default:
				back = append(back, c)
			}
		}
		ends = append(ends, p.requeueLocked(pk.q, back)...)
	}
	l.packs = nil
	frames := p.dispatchLocked(nil)
	p.mu.Unlock()

	p.send(frames)
	p.b.end(ends)
	p.quarantine(solo)
	p.endLost(l, lost)
	p.wantNow()
}

// endLost answers calls that have no tries left. The node may still have to
// say why the worker died: that is worth a moment.
func (p *pool) endLost(l *workerLine, calls []*Call) {
	if len(calls) == 0 {
		return
	}
	p.b.wg.Go(func() {
		timer := time.NewTimer(150 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.b.ctx.Done():
		}
		ends := make([]ending, len(calls))
		p.mu.Lock()
		for i, c := range calls {
			ends[i] = failed(c, p.lostLocked(l, c))
		}
		p.mu.Unlock()
		p.b.end(ends)
	})
}

func (p *pool) lostLocked(l *workerLine, c *Call) error {
	why := p.deaths[l.to.Worker]
	if why == "" {
		why = "its worker died"
	}
	return &fault.Error{
		Kind: fault.Lost, Op: "call", ID: c.Function,
		Err: fmt.Errorf("%s (worker %s, pid %d, try %d of %d)", why, l.to.Worker, l.to.PID, c.tried, c.tries()),
	}
}

// quarantine sends calls suspected of killing their process to one of their own.
func (p *pool) quarantine(calls []*Call) {
	for _, c := range calls {
		next, err := p.b.pool(poolKey{digest: p.key.digest, solo: true})
		if err != nil {
			p.failCalls([]*Call{c}, err)
			continue
		}
		next.takeFrom(p, c)
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
