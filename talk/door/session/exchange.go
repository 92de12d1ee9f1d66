package session

import (
	"context"
	"strconv"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// exchange is a request whose answer is awaited.
type exchange struct {
	session *session
	id      uint64 // 0: the client wants no answer
	heard   bool   // it is told what is wrong all the same
	ctx     context.Context
	span    *span.Span // nil if nobody makes them
	reply   *[]byte    // a buffer with what is to be sent, once it is encoded
}

// exchangeOf begins the exchange of a request, which is known by the session's id and its own. Its place in a trace is that which it came with, else the
// session's.
func (s *session) exchangeOf(r frame.Request) *exchange {
	x := &exchange{session: s, id: r.ID}
	place := s.place
	if r.Place.Valid() {
		place = r.Place
	}
	x.ctx = trace.Mark(s.ctx, s.name+"."+strconv.FormatUint(r.ID, 10), place)
	if span.On() {
		x.ctx, x.span = span.Begin(span.At(x.ctx, place), span.Server, s.door.api.Name)
		x.span.Text("network.protocol.name", "websocket")
	}
	return x
}

// named tells the span of a request what that is for.
func (x *exchange) named(h *api.Handler) {
	if h != nil && x.span.Recorded() {
		name := x.session.door.api.Name
		x.span.Name(name + "/" + h.Name)
		x.span.Method("become", name, h.Name)
	}
}

// Encode is for the API: see api.Exchange.
func (x *exchange) Encode(r api.Reply) error {
	if x.id == 0 {
		return nil
	}
	return x.fill(func(b []byte) ([]byte, error) {
		return x.session.format.AppendReply(b, x.id, x.session.typeOf(r), r.Type, r.Value)
	})
}

// fill puts what f appends in a buffer.
func (x *exchange) fill(f func(b []byte) ([]byte, error)) error {
	b := buffers.Get().(*[]byte)
	data, err := f((*b)[:0])
	if err != nil {
		buffers.Put(b)
		return err
	}
	*b, x.reply = data, b
	return nil
}

// Answer is for the API: see api.Exchange. It ends the request.
func (x *exchange) Answer(err error, _ bool) {
	s := x.session
	defer s.done()
	x.span.Served(err)
	if x.id == 0 && !x.heard {
		if err != nil {
			s.log.Debug("a request that wants no answer failed", "request_id", trace.RequestID(x.ctx), "err", err)
		}
		return
	}
	if err != nil {
		p := problem.For(trace.RequestID(x.ctx), err)
		if err := x.fill(func(b []byte) ([]byte, error) { return s.format.AppendProblem(b, x.id, &p) }); err != nil {
			s.cutOff("what it is to be told cannot be written: " + err.Error())()
			return
		}
	}
	if s.deliver(*x.reply) && cap(*x.reply) <= maxKept {
		buffers.Put(x.reply)
	}
}

// typeOf is what a reply is called.
func (s *session) typeOf(r api.Reply) string { return s.door.api.Name + "." + r.Type.Name() }
