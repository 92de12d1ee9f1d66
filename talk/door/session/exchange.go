package session

import (
	"context"
	"strconv"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
)

// exchange is a request whose answer is awaited.
type exchange struct {
	session *session
	id      uint64 // 0: the client wants no answer
	heard   bool   // it is told what is wrong all the same
	ctx     context.Context
	reply   *[]byte // a buffer with what is to be sent, once it is encoded
}

// of returns the context of a request, which is known by the session's id and its own.
func (s *session) of(id uint64) context.Context {
	return trace.Mark(s.ctx, s.name+"."+strconv.FormatUint(id, 10), trace.From(s.ctx))
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
