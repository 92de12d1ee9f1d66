package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/task"
)

// maxPacks bounds the packs one boss may have here at once, whatever its
// credit said: beyond it the peer is hostile.
const maxPacks = 4096

// peer is one boss on its line.
type peer struct {
	w    *Worker
	conn *line.Conn
	wg   sync.WaitGroup // what the reader must not wait for

	// Guarded by w.mu.
	demand int // packs it could use beyond those under way
	credit int // packs it may have under way
	lent   int // packs of it that wait for nested calls and have lent their slot
	packs  map[uint64]*run
	grants chan int // the newest credit not yet sent; capacity 1

	pinged chan struct{} // has an item while an answer is due
}

// ServeLine serves one boss until its line ends, then cancels its tasks. It
// returns nil when the boss hung up.
func (w *Worker) ServeLine(ctx context.Context, conn *line.Conn) error {
	p := &peer{w: w, conn: conn, packs: map[uint64]*run{}, grants: make(chan int, 1), pinged: make(chan struct{}, 1)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	done := make(chan struct{})
	p.wg.Go(func() { p.answer(done) })
	w.join(p)
	err := p.read()
	w.part(p)
	close(done)
	conn.Close()
	p.wg.Wait()
	if errors.Is(err, io.EOF) || fault.KindOf(err) == fault.Lost {
		return nil
	}
	return err
}

func (w *Worker) join(p *peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bosses[p] = struct{}{}
	p.credit = -1
	w.shareLocked()
	if w.ctx.Err() != nil {
		p.conn.Close()
	}
}

func (w *Worker) part(p *peer) {
	w.mu.Lock()
	delete(w.bosses, p)
	runs := make([]*run, 0, len(p.packs))
	for _, r := range p.packs {
		runs = append(runs, r)
	}
	w.shareLocked()
	w.mu.Unlock()
	for _, r := range runs {
		r.cancelAll(errBossGone)
	}
}

// shareLocked divides the slots among the bosses that want them. Those that
// want nothing keep a credit of at least one, so that a single call needs no
// question first; if that is one too many, the pack comes back within the
// budget.
func (w *Worker) shareLocked() {
	wanting := 0
	for p := range w.bosses {
		if p.demand > 0 {
			wanting++
		}
	}
	for p := range w.bosses {
		sharers := wanting
		if wanting == 0 {
			sharers = len(w.bosses)
		} else if p.demand == 0 {
			sharers = w.slots // one each
		}
		credit := max(1, w.slots/max(1, sharers)) + p.lent
		if w.draining {
			credit = 0
		}
		p.grantLocked(credit)
	}
}

func (p *peer) grantLocked(credit int) {
	if p.credit == credit {
		return
	}
	p.credit = credit
	select { // replace a grant that was not sent yet
	case <-p.grants:
	default:
	}
	p.grants <- credit
}

// answer sends credit and pongs apart from everything else, because sending
// may block and neither the reader nor the lock may.
func (p *peer) answer(done <-chan struct{}) {
	var buf []byte
	for {
		select {
		case n := <-p.grants:
			buf = task.AppendCredit(buf[:0], n)
		case <-p.pinged:
			buf = append(buf[:0], task.KindPong)
		case <-done:
			return
		}
		if p.conn.Send(buf) != nil {
			return
		}
	}
}

func (p *peer) read() error {
	for {
		frame, err := p.conn.Receive()
		if err != nil {
			return err
		}
		if err := p.handle(frame); err != nil {
			return fault.New(fault.Invalid, "read line", "", err)
		}
	}
}

func (p *peer) handle(frame []byte) error {
	switch task.Kind(frame) {
	case task.KindRun:
		pack, err := task.DecodePack(frame)
		if err != nil {
			return err
		}
		pack.Values = bytes.Clone(pack.Values)
		return p.take(pack)
	case task.KindCancel:
		id, index, err := task.DecodeCancel(frame)
		if err != nil {
			return err
		}
		p.w.mu.Lock()
		r := p.packs[id]
		if r != nil {
			p.wg.Go(func() { r.cancel(index) })
		}
		p.w.mu.Unlock()
		return nil
	case task.KindDemand:
		n, err := task.DecodeCount(frame)
		if err != nil {
			return err
		}
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		p.demand = n
		p.w.shareLocked()
		return nil
	case task.KindPing:
		select {
		case p.pinged <- struct{}{}:
		default:
		}
		return nil
	}
	return errors.New("unknown frame")
}

func (p *peer) take(pack task.Pack) error {
	r := p.w.newRun(pack, p)
	r.onEnd = func() { p.forget(pack.ID) }
	p.w.mu.Lock()
	_, twice := p.packs[pack.ID]
	crowded := len(p.packs) >= maxPacks
	if !twice && !crowded {
		p.packs[pack.ID] = r
	}
	p.w.mu.Unlock()
	if twice || crowded {
		return errors.New("more packs than granted")
	}
	if !p.w.submit(r) {
		p.wg.Go(r.giveBack)
	}
	return nil
}

func (p *peer) forget(id uint64) {
	p.w.mu.Lock()
	delete(p.packs, id)
	p.w.mu.Unlock()
}

// outcomes sends what has ended. The line's end is noticed by the reader.
func (p *peer) outcomes(o task.Outcomes) {
	var head [64]byte
	p.conn.Send(task.AppendOutcomes(head[:0], &o), o.Items)
}

func (p *peer) progress(pack uint64, index int, value []byte) {
	p.conn.Send(task.AppendProgress(nil, pack, index, value))
}

func (p *peer) attempt(int) int { return 1 }
