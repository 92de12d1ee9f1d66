package api

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace/span"
)

// lateBy is how long a handler has to notice that its context has ended.
const lateBy = 50 * time.Millisecond

// Exchange is a door's end of one request. Its methods are called by one goroutine at a time, and for one outcome.
type Exchange interface {
	// Encode prepares a reply to be sent. Its error is answered in the reply's place.
	Encode(r Reply) error
	// Answer sends what was encoded, or err, exactly once. late says that the handler goes on, and has what the request has.
	Answer(err error, late bool)
}

// Answer is Call with the request's timeout. It gives x what came, exactly once: what the handler returned, or
// fault.Deadline when the handler did not heed its context and a moment has passed; then late is true, and the handler goes on.
// The meter and the log hear what the client is told. Answer returns when both the handler and x have; when the handler ends its goroutine
// (runtime.Goexit), which is Answer's, x gets fault.Internal and late is true.
//
// Why is it answered in the handler's place, instead of having a goroutine for each handler? It costs nothing when all is well.
func (a *API) Answer(ctx context.Context, h *Handler, in reflect.Value, x Exchange) {
	t := turns.Get().(*turn)
	t.ctx, t.api, t.handler, t.to, t.begun = ctx, a, h, x, time.Now()
	a.tellReceived(ctx, h)
	var watch *overdue // nil: it may take any time
	if timeout := a.Timeout(h); timeout > 0 {
		limited := newLimit(ctx, t.begun.Add(timeout))
		defer limited.end()
		watch, ctx = a.overdue[timeout], limited
		watch.add(t)
	}
	returned := false
	defer func() {
		if !returned && t.alone(watch) {
			t.end(Reply{}, fault.Text(fault.Internal, "answer", h.Name, "the handler ended its goroutine (runtime.Goexit)"), true)
		}
	}()
	r, err := a.Call(ctx, h, in)
	returned = true
	if !t.alone(watch) {
		a.tellLate(t.ctx, h, r, err)
		return
	}
	t.end(r, err, false)
	t.free()
}

// turn is a request that is being answered. It is used again unless it was overdue. It holds no channel, which would belong to the
// bubble of a test (testing/synctest).
type turn struct {
	ctx     context.Context
	api     *API
	handler *Handler
	to      Exchange
	begun   time.Time
	over    atomic.Pointer[chan struct{}] // who waits until it is answered late; or answered

	watched      bool // the overdue's mu guards it and the next
	before, next *turn
}

// answered is in the place of who waits when it is too late to wait.
var answered = new(chan struct{})

var turns = sync.Pool{New: func() any { return new(turn) }}

// alone ends the watch of a turn, and reports whether it is still to be answered. If not it returns when it is answered.
func (t *turn) alone(watch *overdue) bool {
	if watch == nil || watch.remove(t) {
		return true
	}
	t.wait()
	return false
}

// wait returns when an overdue turn is answered.
func (t *turn) wait() {
	over := make(chan struct{})
	if t.over.CompareAndSwap(nil, &over) {
		<-over
	}
}

// answerLate answers in the handler's place.
func (t *turn) answerLate() {
	defer func() {
		if over := t.over.Swap(answered); over != nil {
			close(*over)
		}
	}()
	t.api.tellOverdue(t.ctx, t.handler)
	text := "the handler did not answer within " + t.api.Timeout(t.handler).String()
	t.end(Reply{}, fault.Text(fault.Deadline, "answer", t.handler.Name, text), true)
}

// end tells the meter, the log and the client, all of them the same.
func (t *turn) end(r Reply, err error, late bool) {
	if err == nil {
		err = unwritable(t.to.Encode(r))
	}
	if m := t.api.opts.Meter; m != nil {
		m.Answered(t.handler, time.Since(t.begun), err)
	}
	if err != nil {
		span.Of(t.ctx).Note(err)
	}
	t.api.tellSent(t.ctx, t.handler, r, err)
	t.to.Answer(err, late)
}

// unwritable is why a reply cannot be sent, in the words of an answer and not of a request.
func unwritable(err error) error {
	if wrong, ok := errors.AsType[message.Problems](err); ok {
		return fault.Text(fault.Invalid, "write answer", "", wrong.Error())
	}
	return err
}

// free gives a turn back that nobody else has.
func (t *turn) free() {
	t.ctx, t.api, t.handler, t.to = nil, nil, nil, nil
	turns.Put(t)
}

// AppendReply appends a reply in its envelope, as JSON: {"value":["crunch.Output",{"value":3.375},[]]}. fault.Invalid when it
// holds what JSON has not.
func (a *API) AppendReply(b []byte, r Reply) ([]byte, error) {
	b = append(b, `{"value":["`...)
	b = append(b, a.Name...)
	b = append(b, '.')
	b = append(b, r.Type.Name()...)
	b = append(b, `",`...)
	b, err := r.Append(b)
	return append(b, `,[]]}`...), err
}

// Append appends a reply as JSON, without an envelope. fault.Invalid when it holds what JSON has not.
func (r Reply) Append(b []byte) ([]byte, error) {
	b, err := r.Type.Append(b, r.Value)
	return b, unwritable(err)
}
