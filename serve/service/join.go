package service

import "context"

// guest is the service at the bus, beside its sockets.
type guest struct {
	over   chan struct{} // closed when all is answered; nil if there is nothing
	cancel context.CancelFunc
}

// join begins to answer at the bus once the service is ready, until leave ends.
func (r *run) join(leave context.Context) guest {
	if r.service.Join == nil || r.opts.Bus == nil {
		return guest{cancel: func() {}}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(leave))
	g := guest{make(chan struct{}), cancel}
	r.wg.Go(func() {
		defer close(g.over)
		select {
		case <-r.passed:
		case <-leave.Done():
			return
		}
		if err := r.service.Join(ctx, leave, *r.opts.Bus); err != nil && leave.Err() == nil {
			r.opts.Logger.Warn("the service is not at the bus", "service", r.service.Name, "err", err)
		}
	})
	return g
}
