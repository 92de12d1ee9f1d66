package worker

import (
	"context"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/work/task"
)

// pull keeps a little work at hand and starts it as slots get free.
func (p *puller) pull(ctx, keep context.Context) {
	var ready []*job
	for ctx.Err() == nil {
		var freed <-chan struct{}
		ready, freed = p.startSome(keep, ready)
		switch {
		case len(ready) == 0:
			if p.waitForSlot(ctx) {
				ready = p.fetch(ctx, keep, p.prefetch(), nil)
			}
		case len(ready) < maxPrefetch && p.slotIsFree():
			// Those at hand wait for a slot of their function. One record at a time may be of
			// another: more would keep work from other workers.
			ready = append(ready, p.fetch(ctx, keep, 1, freed)...)
		default:
			select {
			case <-freed:
			case <-ctx.Done():
			}
		}
	}
	// What was not begun goes back as it came, without counting as a try.
	for _, j := range ready {
		if p.republish(keep, j.rec, j.seq, 0, len(j.rec.Jobs), "back") == nil {
			j.d.Ack(keep)
		}
		p.drop(j)
	}
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

// fetch pulls up to most records, unless until is closed before there are any.
func (p *puller) fetch(ctx, keep context.Context, most int, until <-chan struct{}) []*job {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if until != nil {
		p.wg.Go(func() {
			select {
			case <-until:
				stop()
			case <-ctx.Done():
			}
		})
	}
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
