package become

import (
	"context"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
)

// here is the fleet that this worker process works for, once it is connected.
var here = newPlace()

// place is where functions run: a fleet that may be still to come.
type place struct {
	once  sync.Once
	ready chan struct{}
	fleet *Fleet
}

func newPlace() *place { return &place{ready: make(chan struct{})} }

type placeKey struct{}

// engineAt is the engine of this program's functions for a process that is
// boss and worker at once: it may have several fleets, so each task is told its own.
func engineAt(p *place) *native.Engine {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	funcs := make([]*native.Func, len(registry.funcs))
	for i, f := range registry.funcs {
		told := *f
		told.Call = func(ctx context.Context, format engine.Format, input, dst []byte) ([]byte, error) {
			return f.Call(context.WithValue(ctx, placeKey{}, p), format, input, dst)
		}
		funcs[i] = &told
	}
	return native.New(funcs)
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
	p, ok := ctx.Value(placeKey{}).(*place)
	if !ok {
		p = here
	}
	select {
	case <-p.ready:
		return p.fleet, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "find", "the fleet", context.Cause(ctx))
	}
}
