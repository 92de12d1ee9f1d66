package boss

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// manage finds workers for the pool and keeps lines to them, for as long as
// there is use for them.
func (p *pool) manage() {
	m := &manager{p: p, offers: map[string]roster.Offer{}, dialling: map[string]bool{}, events: make(chan func(), 256)}
	m.ctx, m.cancel = context.WithCancel(p.b.ctx)
	err := m.run()
	m.cancel()
	m.wg.Wait()
	p.close(err)
}

// manager is the state of one manage goroutine; only that goroutine touches it,
// others hand it events.
type manager struct {
	p        *pool
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	events   chan func()
	offers   map[string]roster.Offer // newest answer of each node
	dialling map[string]bool         // workers being dialled or connected
	asked    time.Time               // when the oldest want without any answer was sent
	wanted   time.Time               // when the newest want was sent
	inbox    string
}

func (m *manager) run() error {
	p := m.p
	b := p.b.opts.Bus
	m.inbox = b.Inbox()
	for subject, f := range map[string]func(bus.Message){
		m.inbox:                           m.offer,
		roster.SubjectUp + p.key.digest:   m.up,
		roster.SubjectDown + p.key.digest: m.down,
	} {
		sub, err := b.Subscribe(m.ctx, subject, "", f)
		if err != nil {
			return fault.New(fault.KindOf(err), "look for workers of", short(p.key.digest), err)
		}
		defer sub.Unsubscribe()
	}
	tick := time.NewTicker(roster.RenewWant)
	defer tick.Stop()
	m.want()
	var later <-chan time.Time
	for {
		select {
		case <-m.ctx.Done():
			return fault.New(fault.Canceled, "call", "", errClosed)
		case f := <-m.events:
			f()
		case <-p.need:
			if rest := wantEvery - time.Since(m.wanted); rest > 0 {
				later = time.After(rest)
			} else {
				m.want()
			}
		case <-later:
			m.want()
		case <-tick.C:
			if p.expire() {
				return nil
			}
			m.breakSilent()
			m.want()
			m.judge()
		}
	}
}

// post hands f to the manager; after its end f is dropped.
func (m *manager) post(f func()) {
	select {
	case m.events <- f:
	case <-m.ctx.Done():
	}
}

// wantEvery is how often nodes are asked at most: every one of them hears it, and answers.
const wantEvery = 20 * time.Millisecond

// want asks every node for workers.
func (m *manager) want() {
	data, err := json.Marshal(roster.Want{Digest: m.p.key.digest, Solo: m.p.key.solo, Boss: m.p.b.opts.ID})
	if err != nil {
		return
	}
	m.wanted = time.Now()
	if m.asked.IsZero() {
		m.asked = m.wanted
	}
	if err := m.p.b.opts.Bus.Send(bus.Message{Subject: roster.SubjectWant, Reply: m.inbox, Data: data}); err != nil {
		m.p.b.opts.Logger.Debug("cannot ask for workers", "err", err)
	}
}

// offer takes a node's answer. It runs on a goroutine of the bus.
func (m *manager) offer(msg bus.Message) {
	var o roster.Offer
	if json.Unmarshal(msg.Data, &o) != nil || o.Node == "" {
		return
	}
	m.post(func() {
		m.offers[o.Node] = o
		m.asked = time.Time{}
		for _, to := range o.Workers {
			m.connect(to)
		}
		if o.Refused != "" {
			// Others may still be willing: give them a moment to say so.
			time.AfterFunc(200*time.Millisecond, func() { m.post(m.judge) })
		}
	})
}

func (m *manager) up(msg bus.Message) {
	var to roster.Endpoint
	if json.Unmarshal(msg.Data, &to) == nil {
		m.post(func() { m.connect(to) })
	}
}

func (m *manager) down(msg bus.Message) {
	var d roster.Down
	if json.Unmarshal(msg.Data, &d) != nil {
		return
	}
	m.p.died(d.Worker, d.Reason)
}

// died keeps why a worker is gone, for the errors of its calls.
func (p *pool) died(worker, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deaths) > 1000 {
		clear(p.deaths)
	}
	p.deaths[worker] = reason
}

// connect opens a line to a worker, once.
func (m *manager) connect(to roster.Endpoint) {
	if m.dialling[to.Worker] || to.Worker == "" || to.Solo != m.p.key.solo {
		return
	}
	m.dialling[to.Worker] = true
	m.wg.Go(func() {
		conn, err := m.p.b.opts.Dial(m.ctx, to)
		if err != nil {
			m.p.b.opts.Logger.Debug("cannot open line", "worker", to.Worker, "err", err)
		} else {
			stop := context.AfterFunc(m.ctx, func() { conn.Close() })
			l := &workerLine{conn: conn, to: to, packs: map[uint64]*pack{}}
			m.p.serve(l)
			stop()
		}
		m.post(func() { delete(m.dialling, to.Worker) })
	})
}

// serve reads a line until it ends.
func (p *pool) serve(l *workerLine) {
	p.mu.Lock()
	p.lines[l.to.Worker] = l
	p.mu.Unlock()
	err := p.read(l)
	l.conn.Close()
	p.lineEnded(l, err)
}

func (p *pool) read(l *workerLine) error {
	for {
		f, err := l.conn.Receive()
		if err != nil {
			return err
		}
		l.heard.Store(true)
		if err := p.handle(l, f); err != nil {
			p.b.opts.Logger.Warn("worker breaks the protocol", "worker", l.to.Worker, "err", err)
			return err
		}
	}
}

func (p *pool) handle(l *workerLine, f []byte) error {
	switch task.Kind(f) {
	case task.KindOutcomes:
		o, err := task.DecodeOutcomes(f)
		if err != nil {
			return err
		}
		return p.outcomes(l, o)
	case task.KindCredit:
		n, err := task.DecodeCount(f)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.full += n - l.credit
		l.credit = n
		frames := p.dispatchLocked(nil)
		p.mu.Unlock()
		p.send(frames)
		return nil
	case task.KindProgress:
		id, index, value, err := task.DecodeProgress(f)
		if err != nil {
			return err
		}
		p.mu.Lock()
		var c *Call
		if pk := l.packs[id]; pk != nil && index >= pk.done && index < pk.limit {
			c = pk.calls[index]
		}
		p.mu.Unlock()
		if c != nil {
			c.Sink.Progress(c, value)
		}
		return nil
	case task.KindPong:
		return nil
	}
	return errors.New("unknown frame")
}

// judge fails the waiting calls when there is no hope for them.
func (m *manager) judge() {
	m.p.mu.Lock()
	hopeless := m.p.queued > 0 && len(m.p.lines) == 0
	m.p.mu.Unlock()
	if !hopeless {
		return
	}
	if len(m.offers) == 0 {
		if !m.asked.IsZero() && time.Since(m.asked) > m.p.b.opts.NoAnswer {
			m.p.fail(fault.Text(fault.Lost, "call", "", "no node of the fleet answers").WithHint("start one with: become up"))
		}
		return
	}
	for _, o := range m.offers {
		if o.Refused == "" {
			return
		}
	}
	m.p.fail(m.refusal())
	clear(m.offers) // ask afresh for later calls
}

// refusal says why no node will run the bundle, naming who could.
func (m *manager) refusal() error {
	nodes := make([]roster.Offer, 0, len(m.offers))
	platform := ""
	for _, o := range m.offers {
		nodes = append(nodes, o)
	}
	slices.SortFunc(nodes, func(a, b roster.Offer) int { return strings.Compare(a.Node, b.Node) })
	kind := fault.Denied
	texts := make([]string, 0, len(nodes))
	for _, o := range nodes {
		if o.WrongPlatform {
			kind = fault.NotFound
			platform = o.Refused
			texts = append(texts, fmt.Sprintf("node %s is %s", o.Node, o.Platform))
			continue
		}
		texts = append(texts, fmt.Sprintf("node %s: %s", o.Node, o.Refused))
		kind = fault.ParseKind(o.Kind)
	}
	text := strings.Join(texts, "; ")
	if platform != "" {
		text = platform + ": " + text
	}
	return fault.Text(kind, "run bundle", short(m.p.key.digest), text)
}

// silence is how long a worker with calls may say nothing before it is taken for lost: a process that was
// stopped, or whose machine has gone, and whose line does not end by itself. A boss asks after each RenewWant,
// and whoever reads the line answers at once, however busy the functions are. While what is before the
// question is still being written nobody can have answered it: there the line's own timeout counts.
const silence = 8 * roster.RenewWant

// breakSilent asks the workers with calls that have said nothing since the last time, and ends
// the lines of those that do not answer.
func (m *manager) breakSilent() {
	m.p.mu.Lock()
	var waiting []*workerLine
	for _, l := range m.p.lines {
		if l.heard.Swap(false) || len(l.packs) == 0 {
			l.silent = 0
		} else {
			waiting = append(waiting, l)
		}
	}
	m.p.mu.Unlock()
	for _, l := range waiting {
		if l.asking.Load() {
			continue
		}
		if l.silent++; time.Duration(l.silent)*roster.RenewWant > silence {
			m.p.b.opts.Logger.Warn("worker is silent", "worker", l.to.Worker, "node", l.to.Node, "for", silence)
			m.p.died(l.to.Worker, fmt.Sprintf("its worker said nothing for %v", silence))
			l.conn.Close()
			continue
		}
		l.asking.Store(true)
		m.wg.Go(func() { // it may block
			defer l.asking.Store(false)
			l.conn.Send([]byte{task.KindPing})
			l.conn.Flush()
		})
	}
}

// expire ends the pool when it has had no calls for a while.
func (p *pool) expire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if len(l.packs) > 0 {
			p.active = time.Now()
		}
	}
	if p.queued > 0 || len(p.later) > 0 || time.Since(p.active) < p.b.opts.Linger {
		return false
	}
	p.ended = true
	p.b.forget(p)
	return true
}

func (b *Boss) forget(p *pool) {
	// The pool's mutex is held: the boss's is never held while taking a pool's.
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pools[p.key] == p {
		delete(b.pools, p.key)
	}
}

// close fails what is left. err is nil when nothing is.
func (p *pool) close(err error) {
	p.mu.Lock()
	p.ended = true
	p.b.forget(p)
	p.mu.Unlock()
	if err == nil {
		err = fault.New(fault.Canceled, "call", "", errClosed)
	}
	p.fail(err)
}

func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}
