package client

import (
	"context"
	"errors"
	"reflect"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

// Ask sends a request, v of type t, and returns what it was answered with. The error has the kind that the server said, and
// holds its *problem.Problem; fault.Deadline when the time is over, fault.Lost when the connection broke meanwhile or the session is
// over, fault.Canceled when the client was closed.
func (c *Client) Ask(ctx context.Context, name string, t *message.Type, v reflect.Value) (Reply, error) {
	if !span.On() {
		return c.ask(ctx, name, t, v)
	}
	ctx, s := c.span(ctx, name)
	r, err := c.ask(ctx, name, t, v)
	s.End(err)
	return r, err
}

func (c *Client) ask(ctx context.Context, name string, t *message.Type, v reflect.Value) (Reply, error) {
	id := c.ids.Add(1)
	data, err := c.encode(ctx, id, name, t, v)
	if err != nil {
		return Reply{}, fault.New(fault.Invalid, opAsk, name, err)
	}
	if _, has := ctx.Deadline(); !has && c.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
	}
	for {
		o, err := c.try(ctx, id, data)
		switch {
		case err != nil && ctx.Err() != nil:
			return Reply{}, fault.New(fault.KindOf(ctx.Err()), opAsk, name, err)
		case err != nil:
			return Reply{}, fault.New(fault.KindOf(err), opAsk, name, err)
		case o.again && ctx.Value(linkKey{}) == nil:
			continue
		case o.err != nil:
			return Reply{}, fault.New(fault.KindOf(o.err), opAsk, name, o.err)
		case o.answer.Problem != nil:
			return Reply{}, told(o.answer.Problem)
		}
		return Reply{o.answer.Name, o.answer.Value}, nil
	}
}

const opAsk = "ask"

// span opens the span of a request.
func (c *Client) span(ctx context.Context, name string) (context.Context, *span.Span) {
	ctx, s := span.Begin(ctx, span.Client, "ask "+name)
	s.Method("become", "", name)
	s.Text("server.address", c.address)
	return ctx, s
}

// encoded is a request as it is written. It is written once more only for a server that does not know places in traces.
type encoded struct {
	text   []byte // with the place that it has, if any
	plain  func() ([]byte, error)
	placed bool
}

func (c *Client) encode(ctx context.Context, id uint64, name string, t *message.Type, v reflect.Value) (e encoded, err error) {
	r := frame.Request{ID: id, Name: name, Place: trace.From(ctx)}
	e.placed = r.Place.Valid()
	e.plain = func() ([]byte, error) {
		r.Place = trace.Place{}
		return c.format.AppendRequest(nil, r, t, v)
	}
	e.text, err = c.format.AppendRequest(nil, r, t, v)
	return e, err
}

// fit is what the server of a session can read.
func (l *link) fit(e encoded) ([]byte, error) {
	if l.places || !e.placed {
		return e.text, nil
	}
	text, err := e.plain()
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "", err)
	}
	return text, nil
}

// told is a problem as an error: its detail says all.
func told(p *problem.Problem) error {
	e := fault.New(fault.ParseKind(p.Kind), "", "", p)
	if p.Hint != "" {
		return e.WithHint(p.Hint)
	}
	return e
}

// try sends a request in the session that there is, and waits for what comes of it. The error is ctx's, or that of
// a client that has ended.
func (c *Client) try(ctx context.Context, id uint64, data encoded) (outcome, error) {
	l, err := c.linked(ctx)
	if err != nil {
		return outcome{}, err
	}
	text, err := l.fit(data)
	if err != nil {
		return outcome{}, err
	}
	answer := make(chan outcome, 1)
	if !l.expect(id, answer) {
		return l.gone(ctx)
	}
	defer l.forget(id)
	select {
	case l.out <- text:
	case <-l.over:
		return l.gone(ctx)
	case <-ctx.Done():
		return outcome{}, context.Cause(ctx)
	}
	select {
	case o := <-answer:
		return o, nil
	case <-ctx.Done():
		return outcome{}, context.Cause(ctx)
	}
}

// gone is what comes of a request for a session that ended before it was sent: the next one gets it.
func (l *link) gone(ctx context.Context) (outcome, error) {
	var e *ending
	errors.As(l.err, &e)
	if e.then == giveUp {
		return outcome{err: e}, nil
	}
	l.client.drop(l)
	return outcome{err: e, again: true}, nil
}

// drop forgets a session that has ended, so that those who ask wait for the next.
func (c *Client) drop(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.link, c.trouble = nil, l.err
	}
}

// Tell sends a request that is not answered. It returns when the request is on its way: whether it arrives, nobody knows.
func (c *Client) Tell(ctx context.Context, name string, t *message.Type, v reflect.Value) error {
	if !span.On() {
		return c.tell(ctx, name, t, v)
	}
	ctx, s := c.span(ctx, name)
	err := c.tell(ctx, name, t, v)
	s.End(err)
	return err
}

func (c *Client) tell(ctx context.Context, name string, t *message.Type, v reflect.Value) error {
	const op = "tell"
	data, err := c.encode(ctx, 0, name, t, v)
	if err != nil {
		return fault.New(fault.Invalid, op, name, err)
	}
	if _, has := ctx.Deadline(); !has && c.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
	}
	for {
		l, err := c.linked(ctx)
		var text []byte
		if err == nil {
			text, err = l.fit(data)
		}
		if err != nil {
			kind := fault.KindOf(err)
			if ctx.Err() != nil {
				kind = fault.KindOf(ctx.Err())
			}
			return fault.New(kind, op, name, err)
		}
		select {
		case l.out <- text:
			return nil
		case <-l.over:
			if o, _ := l.gone(ctx); !o.again || ctx.Value(linkKey{}) != nil {
				return fault.New(fault.KindOf(o.err), op, name, o.err)
			}
		case <-ctx.Done():
			return fault.New(fault.KindOf(ctx.Err()), op, name, context.Cause(ctx))
		}
	}
}

// receive hands pushed messages to their receivers.
func (c *Client) receive() {
	for {
		select {
		case r := <-c.pushes:
			if err := c.hand(r); err != nil {
				c.opts.Logger.Warn("a pushed message was not received", "server", c.address, "message", r.Name, "err", err)
			}
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Client) hand(r Reply) error {
	var other *Receiver
	for i, one := range c.opts.Receivers {
		if one.name == r.short() {
			return one.f(c.ctx, r)
		}
		if one.name == "" {
			other = &c.opts.Receivers[i]
		}
	}
	if other == nil {
		return fault.Text(fault.NotFound, "receive", r.Name, "there is no receiver")
	}
	return other.f(c.ctx, r)
}
