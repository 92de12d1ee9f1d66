package register

import (
	"context"
	"sync"

	"github.com/universal-server/become/ground/fault"
)

// combiner lets the operations of calls made at the same time travel together: while one trip is under
// way the calls that come gather for the next one.
type combiner struct {
	// trip does operations far away. It is called for one batch at a time. life ends with close.
	trip func(life context.Context, ops []Op) (Number, error)
	life context.Context
	end  context.CancelCauseFunc
	wg   sync.WaitGroup // the goroutine that travels, if there is one

	mu        sync.Mutex
	traveling bool
	waiting   []*call
	trips     uint64
	closed    bool
}

// call is one call of Swap.
type call struct {
	ops     []Op // its own copy: the caller may leave
	bytes   int  // of long numbers
	present Number
	err     error
	done    chan struct{} // gets an item
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

func newCombiner(trip func(context.Context, []Op) (Number, error)) *combiner {
	c := &combiner{trip: trip}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c
}

// Swap is [Swapper]'s, for a combiner of registers far away.
func (c *combiner) Swap(ctx context.Context, ops []Op) (Number, error) {
	if err := check(ops); err != nil {
		return Number{}, err
	}
	if err := ctx.Err(); err != nil {
		return Number{}, fault.New(fault.KindOf(err), opSwap, "", err)
	}
	one := calls.Get().(*call)
	one.ops, one.bytes = append(one.ops[:0], ops...), 0
	for i := range ops {
		one.bytes += ops[i].Old.long() + ops[i].New.long()
	}
	if err := c.add(one); err != nil {
		return Number{}, err
	}
	select {
	case <-one.done:
		present, err := one.present, one.err
		*one = call{ops: one.ops, done: one.done}
		calls.Put(one)
		return present, err
	case <-ctx.Done():
		return Number{}, fault.New(fault.KindOf(ctx.Err()), opSwap, "", ctx.Err())
	}
}

// Trips returns how many round trips were made so far. It tells how well operations travel together.
func (c *combiner) Trips() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trips
}

func (c *combiner) add(one *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.Lost, opSwap, "", errClosed)
	}
	c.waiting = append(c.waiting, one)
	if !c.traveling {
		c.traveling = true
		c.wg.Go(c.travel)
	}
	return nil
}

// travel makes trips until nobody waits.
func (c *combiner) travel() {
	var batch []*call
	var ops []Op
	for {
		batch = c.next(batch[:0])
		if len(batch) == 0 {
			return
		}
		ops = ops[:0]
		for _, one := range batch {
			ops = append(ops, one.ops...)
		}
		present, err := c.trip(c.life, ops)
		for _, one := range batch {
			one.present, one.err = present, err
			present = after(present, one.ops)
			one.done <- struct{}{}
		}
		clear(batch)
		clear(ops)
	}
}

// next takes as many of those that wait as may travel together: none when nobody waits.
func (c *combiner) next(batch []*call) []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for _, one := range c.waiting {
		if n += len(one.ops); n > MaxOps && len(batch) > 0 {
			break
		}
		if bytes += one.bytes; bytes > MaxBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, one)
	}
	rest := copy(c.waiting, c.waiting[len(batch):])
	clear(c.waiting[rest:])
	c.waiting = c.waiting[:rest]
	if c.traveling = len(batch) > 0; c.traveling {
		c.trips++
	}
	return batch
}

// close ends the trip under way and waits for it. Calls that wait get its error.
func (c *combiner) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end(errClosed)
	c.wg.Wait()
}
