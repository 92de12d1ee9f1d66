package api

import (
	"context"
	"time"

	"github.com/universal-server/become/ground/trace/span"
)

// Meter is told of requests, whatever door they come through. Its methods are called by several goroutines at the same
// time, and are to return at once.
type Meter interface {
	// Running is called with 1 when a handler begins, and with -1 when it has returned.
	Running(h *Handler, change int)
	// Answered is called when an answer is there: a reply, or an error, as that the handler is late. took is what the client
	// waited for it.
	Answered(h *Handler, took time.Duration, err error)
	// Refused is called when a request does not come to a handler. h is nil when there is none.
	Refused(h *Handler, err error)
}

// Refuse notes, for the meter and the log, that a door refused a request of that name, which may be that of none. ctx is the
// request's.
func (a *API) Refuse(ctx context.Context, name string, err error) {
	h := a.byName[name]
	if a.opts.Meter != nil {
		a.opts.Meter.Refused(h, err)
	}
	span.Of(ctx).Note(err)
	a.tellDropped(ctx, name, h, err)
}

// running notes that a handler begins, or has returned.
func (a *API) running(h *Handler, change int) {
	if a.opts.Meter != nil {
		a.opts.Meter.Running(h, change)
	}
}
