package api

import (
	"context"
	"reflect"
	"sync"
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
	answer = a.metered(h, answer)
	timeout := a.Timeout(h)
	if timeout == 0 {
		r, err := a.Call(ctx, h, in)
		answer(r, err, false)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var once sync.Once
	over := make(chan struct{})
	late := time.AfterFunc(timeout+lateBy, func() {
		defer close(over)
		once.Do(func() {
			answer(Reply{}, fault.Text(fault.Deadline, "answer", h.Name, "the handler did not answer within "+timeout.String()), true)
		})
	})
	r, err := a.Call(ctx, h, in)
	if !late.Stop() {
		<-over
	}
	once.Do(func() { answer(r, err, false) })
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
