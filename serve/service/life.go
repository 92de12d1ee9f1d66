package service

import (
	"context"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// probe starts the service, asks it whether it is ready, and opens the doors.
func (r *run) probe(ctx context.Context) error {
	if r.service.Start != nil {
		err := r.service.Start(ctx)
		r.started <- err == nil
		if err != nil {
			return fault.New(fault.KindOf(err), "start", r.service.Name, err)
		}
	}
	if r.service.Ready != nil {
		if err := r.service.Ready(ctx); err != nil {
			return fault.New(fault.KindOf(err), "make ready", r.service.Name, err)
		}
	}
	close(r.passed)
	return nil
}

// stop stops the service if it has started, for as long as the drain's time lasts.
func (r *run) stop(ctx context.Context, within func() time.Duration) error {
	if r.service.Stop == nil {
		return nil
	}
	r.mu.Lock()
	until := r.begun.Add(within())
	r.mu.Unlock()
	if least := time.Now().Add(closeWithin); until.Before(least) {
		until = least
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	if r.service.Start != nil {
		select {
		case yes := <-r.started:
			if !yes {
				return nil
			}
		case <-ctx.Done():
			return fault.Text(fault.Deadline, "stop", r.service.Name, "it is still starting")
		}
	}
	if err := r.service.Stop(ctx); err != nil {
		return fault.New(fault.KindOf(err), "stop", r.service.Name, err)
	}
	return nil
}
