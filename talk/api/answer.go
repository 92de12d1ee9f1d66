package api

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// lateBy is how long a handler has to notice that its context has ended.
const lateBy = 50 * time.Millisecond

// Answer is Call with the request's timeout. It gives answer what came, exactly once: what the handler returned, or
// fault.Deadline when the handler did not heed its context and a moment has passed; then late is true, and the handler goes on.
// Answer returns when both the handler and answer have.
//
// Why a timer that answers in the handler's place, and not a goroutine for each handler? It costs nothing when all is well.
func (a *API) Answer(ctx context.Context, h *Handler, in reflect.Value, answer func(r Reply, err error, late bool)) {
	t := turns.Get().(*turn)
	t.api, t.handler, t.answer = a, h, answer
	if a.opts.Meter != nil {
		t.begun = time.Now()
	}
	timeout := a.Timeout(h)
	if timeout == 0 {
		r, err := a.Call(ctx, h, in)
		t.end(r, err, false)
		t.free()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	timer := time.AfterFunc(timeout+lateBy, t.late)
	r, err := a.Call(ctx, h, in)
	if !timer.Stop() {
		t.wait()
		return
	}
	t.end(r, err, false)
	t.free()
}

// turn is a request that is being answered. It is used again unless its timer fired. It holds neither timer nor channel, which would belong
// to the bubble of a test (testing/synctest).
type turn struct {
	api     *API
	handler *Handler
	answer  func(r Reply, err error, late bool)
	begun   time.Time
	late    func()                        // is answerLate
	over    atomic.Pointer[chan struct{}] // who waits until the timer has answered; or answered
}

// answered is in the place of who waits when it is too late to wait.
var answered = new(chan struct{})

var turns = sync.Pool{New: func() any {
	t := &turn{}
	t.late = t.answerLate
	return t
}}

// wait returns when the timer, which has fired, has answered.
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
	text := "the handler did not answer within " + t.api.Timeout(t.handler).String()
	t.end(Reply{}, fault.Text(fault.Deadline, "answer", t.handler.Name, text), true)
}

// end tells the meter and the client.
func (t *turn) end(r Reply, err error, late bool) {
	if m := t.api.opts.Meter; m != nil {
		m.Answered(t.handler, time.Since(t.begun), err)
	}
	t.answer(r, err, late)
}

// free gives a turn back whose timer does not run.
func (t *turn) free() {
	t.api, t.handler, t.answer = nil, nil, nil
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
	if err != nil {
		err = fault.Text(fault.Invalid, "write answer", "", err.Error())
	}
	return b, err
}
