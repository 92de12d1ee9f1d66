package become

import (
	"context"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// here is the fleet that this process works for, once it is connected.
var here = place{ready: make(chan struct{})}

type place struct {
	once  sync.Once
	ready chan struct{}
	fleet *Fleet
}

func (p *place) set(f *Fleet) {
	p.once.Do(func() {
		p.fleet = f
		close(p.ready)
	})
}

// Here returns the fleet on which the running function runs, for nested calls.
// While a function waits for one, its slot is free for others. Outside of a
// function it is an error (fault.Invalid).
func Here(ctx context.Context) (*Fleet, error) {
	if engine.HandleOf(ctx) == nil {
		return nil, fault.Text(fault.Invalid, "find", "the fleet", "this is no running function of one")
	}
	select {
	case <-here.ready:
		return here.fleet, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "find", "the fleet", context.Cause(ctx))
	}
}
