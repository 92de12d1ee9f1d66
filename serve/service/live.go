package service

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

// order keeps settings until the service has time for them. Newer ones take the place of those that wait, which nobody asks for any
// more. Only one goroutine calls it.
func (k *kept) order(o wire.Settings) {
	select {
	case waiting := <-k.orders:
		if waiting.Number > o.Number { // a keeper of an older version does not send them in their order
			o = waiting
		}
	default:
	}
	k.orders <- o
}

// reconfigure lets the service take settings while it serves, one after another, and tells the keeper.
func (k *kept) reconfigure(ctx context.Context, s Service, ready <-chan struct{}) {
	select {
	case <-ready:
	case <-ctx.Done():
		return
	}
	for last := uint64(0); ; {
		select {
		case o := <-k.orders:
			if o.Number < last {
				continue
			}
			last = o.Number
			took := wire.Took{Number: o.Number}
			if err := s.reconfigure(ctx, o.Value); err != nil {
				took.Reason = err.Error()
			}
			k.say(wire.FromProcess{Took: &took})
		case <-ctx.Done():
			return
		}
	}
}

func (s Service) reconfigure(ctx context.Context, value json.RawMessage) (err error) {
	const op = "configure"
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, op, s.Name, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if s.Reconfigure == nil {
		return fault.Text(fault.Invalid, op, s.Name, "it takes no settings while it runs")
	}
	if err := s.Reconfigure(ctx, value); err != nil {
		return fault.New(fault.Invalid, op, s.Name, err)
	}
	return nil
}
