package boss

import (
	"sync/atomic"
	"time"

	"github.com/universal-server/become/work/task"
)

// packTime is how much work a pack should hold: enough to make its journey
// cheap, little enough that the slots end together.
const packTime = time.Millisecond

// packBytes bounds a pack's inputs.
const packBytes = 128 << 10

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
	head := task.Pack{
		ID: pk.id, Function: pk.q.name, Format: first.Format, Timeout: first.Timeout, Origin: p.b.opts.ID, Count: len(pk.calls),
	}
	if first.Place != nil {
		head.Place = *first.Place
	}
	buf := task.AppendPack(*f.data, &head)
	for i, c := range pk.calls {
		buf = task.AppendValue(buf, c.Input)
		c.ln, c.pack, c.position = l, pk, i
		c.tried++
		c.state.Store(uint32(Running))
	}
	*f.data = buf
	return f
}

func (p *pool) dispatch() {
	p.mu.Lock()
	frames := p.dispatchLocked(nil)
	p.mu.Unlock()
	p.send(frames)
}
