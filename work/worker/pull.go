package worker

import (
	"context"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/work/task"
)

// patience is how long records wait at hand for a slot while none begins; then they go back, for they
// may be behind long tasks here, and at once elsewhere.
const patience = time.Second

// hand is what a puller has pulled and not begun. The goroutine in pull owns it.
type hand struct {
	ready   []*job
	pulled  chan []*job
	pulling bool        // more will come on pulled
	stuck   *time.Timer // while all slots are taken, patience after the last change
	armed   bool
}

// pull keeps a little work at hand and starts it as slots get free.
func (p *puller) pull(ctx, keep context.Context) {
	h := hand{pulled: make(chan []*job, 1), stuck: time.NewTimer(patience), armed: true}
	defer h.stuck.Stop()
	for ctx.Err() == nil {
		before := len(h.ready)
		var freed <-chan struct{}
		h.ready, freed = p.startSome(keep, h.ready)
		free := p.slotIsFree()
		p.askForMore(ctx, keep, &h, free)
		h.watch(before, free)
		select {
		case more := <-h.pulled:
			h.pulling = false
			h.ready = append(h.ready, more...)
		case <-freed:
		case <-h.stuck.C:
			h.armed = false
			h.ready = p.putBack(keep, h.ready)
		case <-ctx.Done():
		}
	}
	if h.pulling {
		h.ready = append(h.ready, <-h.pulled...)
	}
	for _, j := range p.putBack(keep, h.ready) {
		p.drop(j)
	}
}

// askForMore begins to fetch when nothing is at hand, or what is there waits for a
// slot of its function: then one record at a time, which may be of another. More
// would keep work from other workers.
func (p *puller) askForMore(ctx, keep context.Context, h *hand, free bool) {
	most := 1
	switch {
	case h.pulling:
		return
	case len(h.ready) == 0:
		if !p.waitForSlot(ctx) {
			return
		}
		most = p.prefetch()
	case !free || len(h.ready) >= maxPrefetch:
		return
	}
	h.pulling = true
	p.wg.Go(func() { h.pulled <- p.fetch(ctx, keep, most) })
}

// watch sets the timer that tells when what is at hand has waited long enough.
func (h *hand) watch(before int, free bool) {
	switch {
	case free || len(h.ready) == 0:
		h.stuck.Stop()
		h.armed = false
	case !h.armed || len(h.ready) != before:
		h.stuck.Reset(patience)
		h.armed = true
	}
}

// putBack leaves records that were not begun to others, as they came, without counting it
// as a try. It returns those that the queue did not take.
func (p *puller) putBack(keep context.Context, ready []*job) (rest []*job) {
	for _, j := range ready {
		if p.republish(keep, j.rec, j.seq, 0, len(j.rec.Jobs), "back") != nil {
			rest = append(rest, j)
			continue
		}
		j.d.Ack(keep)
		p.drop(j)
	}
	return rest
}

// startSome starts what it can and returns the rest, which all waits for a
// slot: for any, or for one of its function. freed is closed when it is worth trying again.
func (p *puller) startSome(keep context.Context, ready []*job) (rest []*job, freed <-chan struct{}) {
	full := map[string]bool{} // functions whose turn is not now
	for _, j := range ready {
		if !full[j.rec.Function] {
			started, changed := p.start(keep, j)
			if started {
				continue
			}
			full[j.rec.Function] = true
			if freed == nil { // the first: what happened since then counts
				freed = changed
			}
		}
		rest = append(rest, j)
	}
	return rest, freed
}

func (p *puller) waitForSlot(ctx context.Context) bool {
	for {
		p.w.mu.Lock()
		free := p.w.busy < p.w.slots && !p.w.draining
		freed := p.w.freedLocked()
		p.w.mu.Unlock()
		if free {
			return ctx.Err() == nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *puller) slotIsFree() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.busy < p.w.slots && !p.w.draining
}

// fetch pulls up to most records.
func (p *puller) fetch(ctx, keep context.Context, most int) []*job {
	deliveries, err := p.consumer.Pull(ctx, most, pullWait)
	if err != nil && ctx.Err() == nil {
		p.w.opts.Logger.Debug("cannot pull jobs", "err", err)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	p.tellHeld(deliveries)
	var ready []*job
	for _, d := range deliveries {
		if j := p.admit(keep, d); j != nil {
			ready = append(ready, j)
		}
	}
	return ready
}

func (p *puller) tellHeld(deliveries []bus.Delivery) {
	if p.w.opts.Held == nil || len(deliveries) == 0 {
		return
	}
	tokens := make([]string, len(deliveries))
	for i, d := range deliveries {
		tokens[i] = d.Token()
	}
	p.w.opts.Held(tokens)
}

// prefetch is how many records the free slots can take soon.
func (p *puller) prefetch() int {
	p.w.mu.Lock()
	free := max(1, p.w.slots-p.w.busy)
	p.w.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean <= 0 {
		return free
	}
	return max(free, min(maxPrefetch, p.w.slots*int(prefetchTime/p.mean)))
}

// start runs a record if there is a slot for it; if not, freed is closed when
// that may have changed.
func (p *puller) start(ctx context.Context, j *job) (started bool, freed <-chan struct{}) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Done()
	}
	pack := task.Pack{ID: j.seq, Function: j.rec.Function, Format: j.rec.Format, Timeout: j.rec.Timeout, Origin: j.rec.Boss, Count: len(j.rec.Jobs)}
	for _, v := range j.rec.Jobs {
		pack.Values = task.AppendValue(pack.Values, v)
	}
	r := p.w.newRun(pack, j)
	p.mu.Lock()
	j.run, j.began = r, time.Now()
	for i := range j.rec.Jobs {
		id := j.rec.ID(j.seq, i).String()
		if p.tombs[id] {
			r.cancel(i)
		}
	}
	p.mu.Unlock()
	p.wg.Add(1)
	p.w.mu.Lock()
	if started = !p.w.draining && p.w.startLocked(r); !started {
		freed = p.w.freedLocked()
	}
	p.w.mu.Unlock()
	if !started {
		p.wg.Done()
		<-p.slots
	}
	return started, freed
}

func (p *puller) observe(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 || took > p.mean {
		p.mean = took
	} else {
		p.mean += (took - p.mean) / 4
	}
}
