package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

type poolKey struct {
	digest string
	solo   bool
}

// pool is the processes of one bundle. Its run goroutine starts and stops
// them; mu guards what others look at.
type pool struct {
	n   *Node
	key poolKey
	m   bundle.Manifest

	poke chan struct{} // has an item when run should look again
	quit chan struct{} // closed by stop
	over chan struct{} // closed when run has ended
	once sync.Once

	mu       sync.Mutex
	procs    map[*proc]struct{}
	wanted   time.Time // when somebody last wanted it
	deaths   []time.Time
	restarts int
	resume   time.Time // no process is started before
	failed   error     // why none is started until resume
	why      string    // reason of stop
	retired  bool      // it ends: who wants it wants another
}

func newPool(n *Node, k poolKey, m bundle.Manifest) *pool {
	return &pool{
		n: n, key: k, m: m, procs: map[*proc]struct{}{}, wanted: time.Now(),
		poke: make(chan struct{}, 1), quit: make(chan struct{}), over: make(chan struct{}),
	}
}

// want keeps the pool going and returns the workers that are ready. The error
// says why there will be none for a while. Not live: the pool has retired meanwhile.
func (p *pool) want() (ready []roster.Endpoint, live bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired {
		return nil, false, nil
	}
	p.wanted = time.Now()
	p.wakeUp()
	if p.failed != nil && time.Now().Before(p.resume) {
		return nil, true, p.failed
	}
	for pr := range p.procs {
		if pr.state == stateReady {
			ready = append(ready, pr.endpoint)
		}
	}
	return ready, true, nil
}

func (p *pool) wakeUp() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// stop drains the processes and returns when they are gone.
func (p *pool) stop(why string) {
	p.once.Do(func() {
		p.mu.Lock()
		p.why = why
		p.mu.Unlock()
		close(p.quit)
	})
	<-p.over
}

// size is how many processes the pool should have.
func (p *pool) size() int {
	if p.key.solo {
		return 1
	}
	return p.n.opts.Workers
}

// run starts processes up to the number, replaces those that die, and ends
// when the pool has been idle for long enough or is stopped.
func (p *pool) run() {
	defer close(p.over)
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		wait := p.startMissing(&wg)
		var resume <-chan time.Time
		if wait > 0 {
			resume = time.After(wait)
		}
		select {
		case <-p.quit:
			p.drainAll()
			return
		case <-p.n.ctx.Done():
			p.drainAll()
			return
		case <-p.poke:
		case <-resume:
		case <-tick.C:
			if p.retire() {
				p.drainAll()
				return
			}
		}
	}
}

// startMissing starts processes, or returns how long to wait before it may.
func (p *pool) startMissing(wg *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := time.Until(p.resume); wait > 0 {
		return wait
	}
	p.failed = nil
	for live := p.live(); live < p.size(); live++ {
		pr := newProc(p)
		p.procs[pr] = struct{}{}
		wg.Go(func() {
			pr.live()
			p.ended(pr)
		})
	}
	return 0
}

func (p *pool) live() int {
	n := 0
	for pr := range p.procs {
		if pr.state == stateStarting || pr.state == stateReady {
			n++
		}
	}
	return n
}

// ended forgets a process and decides when its successor may start.
func (p *pool) ended(pr *proc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.procs, pr)
	defer p.wakeUp()
	if !pr.died {
		return
	}
	now := time.Now()
	recent := p.deaths[:0]
	for _, t := range p.deaths {
		if now.Sub(t) < time.Minute {
			recent = append(recent, t)
		}
	}
	p.deaths = append(recent, now)
	p.restarts++
	n := len(p.deaths)
	// Solo processes are there to be killed by what they run.
	limit := p.n.opts.MaxRestarts
	if !p.key.solo && n > limit || pr.refused {
		p.resume = now.Add(time.Minute)
		p.failed = fault.Text(fault.Busy, "run bundle", p.m.Name, fmt.Sprintf("its processes died %d times within a minute, last: %s; next try at %s", n, pr.reason, p.resume.Format(time.TimeOnly)))
		if pr.refused {
			p.resume = now.Add(10 * time.Second)
			p.failed = fault.Text(fault.Invalid, "run bundle", p.m.Name, pr.reason)
		}
		p.n.opts.Logger.Error("gave a bundle up for a while", "bundle", p.m.Name, "err", p.failed)
		return
	}
	if n > 1 {
		p.resume = now.Add(min(2*time.Second, 20*time.Millisecond<<min(n-2, 10)))
	}
}

// retire reports whether nobody has had use for the pool for long enough.
func (p *pool) retire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil && time.Now().Before(p.resume) {
		return false // to be seen in ps
	}
	idle := max(p.n.opts.Idle, 0)
	for pr := range p.procs {
		if pr.stats.Running > 0 || pr.stats.Lines > 0 || pr.state == stateStarting {
			p.wanted = time.Now()
		}
	}
	if time.Since(p.wanted) < idle {
		return false
	}
	p.why, p.retired = "idle", true
	p.n.forget(p) // from here on a want must find a new pool
	return true
}

// drainAll ends every process, gently if there is time.
func (p *pool) drainAll() {
	p.n.forget(p)
	p.mu.Lock()
	why := p.why
	procs := make([]*proc, 0, len(p.procs))
	for pr := range p.procs {
		procs = append(procs, pr)
	}
	p.mu.Unlock()
	if why == "" {
		why = "its node is stopping"
	}
	for _, pr := range procs {
		pr.drain(why)
	}
}

// status describes the pool's processes.
func (p *pool) status() []roster.ProcessStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []roster.ProcessStatus
	for pr := range p.procs {
		out = append(out, pr.statusLocked())
	}
	if len(out) == 0 {
		s := roster.ProcessStatus{Bundle: p.key.digest, Name: p.m.Name, Kind: p.m.Kind, State: "backoff", Restarts: p.restarts, Solo: p.key.solo}
		if p.failed != nil {
			s.State, s.Reason = "failed", p.failed.Error()
		}
		out = append(out, s)
	}
	return out
}
