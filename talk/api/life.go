package api

import (
	"context"
	"errors"
)

// Start tells the classes to start, in their order. When one fails, those that were told are stopped. ctx ends when
// the service begins to drain.
func (a *API) Start(ctx context.Context) error {
	for i, c := range a.opts.Classes {
		err := a.guarded("start", a.Name, func() error {
			if one, ok := c.life.(starter); ok {
				return one.Start(ctx)
			}
			return nil
		})
		if err != nil {
			return errors.Join(err, a.stop(context.WithoutCancel(ctx), a.opts.Classes[:i]))
		}
	}
	return nil
}

// Stop tells the classes to stop, the last one first, and returns all their errors.
func (a *API) Stop(ctx context.Context) error { return a.stop(ctx, a.opts.Classes) }

func (a *API) stop(ctx context.Context, classes []*Class) error {
	var errs []error
	for i := range classes {
		errs = append(errs, a.guarded("stop", a.Name, func() error {
			if one, ok := classes[len(classes)-1-i].life.(stopper); ok {
				return one.Stop(ctx)
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}
