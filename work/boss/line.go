package boss

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// workerLine is a line to a worker. Guarded by the pool's mutex, but for
// conn, ends and what is said to be another's.
type workerLine struct {
	conn   *line.Conn
	to     roster.Endpoint
	credit int
	packs  map[uint64]*pack
	nextID uint64
	demand int                    // what the worker is to be told
	rested map[*backlog]time.Time // until then it gets no packs of these: it returned one untouched
	ends   []ending               // outcomes' own, for the goroutine that reads the line

	heard  atomic.Bool // something came since the manager looked
	asking atomic.Bool // a ping waits to be written
	silent int         // how often nothing had come while packs were away; the manager's

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
