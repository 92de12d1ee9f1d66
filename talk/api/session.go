package api

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/slogs"
)

// Wire is a door's end of a session. Its methods may be called from several goroutines.
type Wire interface {
	// Push sends a message without waiting. fault.Busy when too much waits already: the peer does not read, and
	// its session is ended. fault.Lost when it is over.
	Push(m Reply) error
	// Flush waits until what was pushed is with the system. Errors are ctx's and fault.Lost.
	Flush(ctx context.Context) error
	// End ends the session when its requests under way are answered. It does not wait.
	End(reason string)
}

// Session is a client that stays: it sends requests, and messages can be pushed to it. It is made by
// API.Accept. Its methods may be called from several goroutines, also after its end. A nil one is that of
// a plain request, which has none.
type Session struct {
	id, peer string
	wire     Wire
	objects  map[*Class]any // of the classes with one for each session; not changed after Accept

	api *API
	ctx context.Context // what it does is logged of the object that this has
	own slogs.Object    // what is told to it is logged as sent to
}

// ID names the session; no two of a process have the same. Empty for nil.
func (s *Session) ID() string {
	if s == nil {
		return ""
	}
	return s.id
}

// Peer is the address that the client has. Empty for nil.
func (s *Session) Peer() string {
	if s == nil {
		return ""
	}
	return s.peer
}

// Send pushes a message, a value of a type that a request could be answered with; its Go type names it. Messages come
// in the order in which they were sent, before the answer of a request that sent them. Send never
// waits: a client that does not read is cut off when too much waits for it, with fault.Busy. fault.Lost when the session is
// over, fault.Invalid for what is no message.
func (s *Session) Send(m any) error {
	if s == nil {
		return fault.Text(fault.Invalid, opSend, "", "the request came without a session")
	}
	v := reflect.ValueOf(m)
	for v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
		v = v.Elem()
	}
	if !v.IsValid() || !goodName.MatchString(v.Type().Name()) {
		return fault.Text(fault.Invalid, opSend, fmt.Sprintf("%T", m), "a message is of a type with a name")
	}
	t, err := message.Of(v.Type())
	if err != nil {
		return fault.New(fault.Invalid, opSend, v.Type().String(), err)
	}
	err = s.wire.Push(Reply{t, v})
	s.tellPushed(t.Name(), err)
	return err
}

const opSend = "send message"

// Flush waits until what was sent is with the system, for those who send much: see Send. Errors are ctx's and
// fault.Lost.
func (s *Session) Flush(ctx context.Context) error {
	if s == nil {
		return nil
	}
	return s.wire.Flush(ctx)
}

// Close ends the session, with a reason for the client of at most 120 bytes. Requests under way are answered
// first. It does not wait.
func (s *Session) Close(reason string) {
	if s != nil {
		s.wire.End(reason)
	}
}

type sessionKey struct{}

// SessionOf returns the session that a handler's request came by; false for one that came by itself, as over plain
// HTTP.
func SessionOf(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(*Session)
	return s, ok
}

// With returns a context for the session's requests.
func (s *Session) With(ctx context.Context) context.Context {
	return context.WithValue(slogs.WithPeer(ctx, s.own.Addr), sessionKey{}, s)
}

// Accept begins a session for a door, and tells the classes. When one of them refuses, those that were told hear
// that it is closed, and the error is that one's. id is to be different from those of other sessions.
func (a *API) Accept(ctx context.Context, id, peer string, w Wire) (_ *Session, err error) {
	s := &Session{id: id, peer: peer, wire: w, objects: map[*Class]any{}, api: a, own: slogs.Object{Addr: slogs.NextAddr(), Name: "Session"}}
	s.tellCreated(ctx)
	ctx = s.With(ctx)
	s.ctx = context.WithoutCancel(ctx)
	s.tellLife("Accepted", "")
	for i, c := range a.opts.Classes {
		err := a.guarded("accept session", id, func() error {
			o := c.object(s)
			s.objects[c] = o
			if one, ok := o.(accepter); ok {
				return one.Accepted(ctx)
			}
			return nil
		})
		if err != nil {
			a.tell(ctx, s, a.opts.Classes[:i], func(o any) { closed(ctx, o, "it was refused") })
			s.tellLife("Closed", err.Error())
			s.tellDestroyed()
			return nil, err
		}
	}
	return s, nil
}

// Close tells the classes that the server has ended a session.
func (a *API) Close(ctx context.Context, s *Session, reason string) {
	s.tellLife("Closed", reason)
	ctx = s.With(ctx)
	a.tell(ctx, s, a.opts.Classes, func(o any) { closed(ctx, o, reason) })
	s.tellDestroyed()
}

// Abandon tells the classes that a session's peer has ended it, or is gone.
func (a *API) Abandon(ctx context.Context, s *Session, reason string) {
	s.tellLife("Abandoned", reason)
	ctx = s.With(ctx)
	a.tell(ctx, s, a.opts.Classes, func(o any) {
		if one, ok := o.(abandoner); ok {
			one.Abandoned(ctx, reason)
		}
	})
	s.tellDestroyed()
}

func closed(ctx context.Context, o any, reason string) {
	if one, ok := o.(closer); ok {
		one.Closed(ctx, reason)
	}
}

// tell calls f with the objects of classes, in reverse.
func (a *API) tell(ctx context.Context, s *Session, classes []*Class, f func(o any)) {
	for i := range classes {
		c := classes[len(classes)-1-i]
		a.guarded("end session", s.id, func() error { f(s.objects[c]); return nil })
	}
}

// guarded calls a class's own method, and turns a panic into an error.
func (a *API) guarded(op, id string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.opts.Logger.Error("a method panicked", "api", a.Name, "doing", op, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fault.Text(fault.Internal, op, id, fmt.Sprintf("the method panicked: %v", p))
		}
	}()
	return f()
}
