package jet

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Publish sends a message.
func (c *Conn) Publish(subject string, data []byte) error {
	return c.Send(bus.Message{Subject: subject, Data: data})
}

// Send sends a message with all that it has.
func (c *Conn) Send(m bus.Message) error {
	const op = "publish to"
	if err := check(op, m); err != nil {
		return err
	}
	if len(m.Header) > 0 {
		return wrong(op, m.Subject, c.nc.PublishMsg(message(m)))
	}
	if m.Reply == "" {
		return wrong(op, m.Subject, c.nc.Publish(m.Subject, m.Data))
	}
	return wrong(op, m.Subject, c.nc.PublishRequest(m.Subject, m.Reply, m.Data))
}

func check(op string, m bus.Message) error {
	if err := bus.CheckMessage(m); err != nil {
		return fault.New(fault.Invalid, op, m.Subject, err)
	}
	return sized(op, m.Subject, m.Data)
}

// message is a message as NATS has it.
func message(m bus.Message) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Reply: m.Reply, Data: m.Data}
	if len(m.Header) > 0 {
		out.Header = make(nats.Header, len(m.Header))
		for name, value := range m.Header {
			out.Header[name] = []string{value}
		}
	}
	return out
}

// incoming is a message as the bus has it.
func incoming(m *nats.Msg) bus.Message {
	return bus.Message{Subject: m.Subject, Reply: m.Reply, Header: first(m.Header, ""), Data: m.Data}
}

// received is a message that came to a subscription, as the bus has it; false if nobody is to have it, because its answer would go where no
// inbox is. An answer is sent with the rights of who gives it: who may only ask would write wherever that one may.
func (c *Conn) received(m *nats.Msg) (bus.Message, bool) {
	if m.Reply != "" && !bus.IsInbox(m.Reply) {
		c.misdirected.note(c.logger, m)
		return bus.Message{}, false
	}
	return incoming(m), true
}

// words are the header of an entry, without what is the server's.
func words(h nats.Header) map[string]string { return first(h, "Nats-") }

// first is a header with the first of several values, but for names that begin so; nil if there is none.
func first(h nats.Header, without string) (out map[string]string) {
	for name, values := range h {
		if len(values) == 0 || without != "" && strings.HasPrefix(name, without) {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(h))
		}
		out[name] = values[0]
	}
	return out
}

// Request sends a message and returns the first answer. It ends with ctx, after callTimeout if that has no deadline: another timer for each
// request would be the dearest thing in it.
func (c *Conn) Request(ctx context.Context, m bus.Message) (bus.Message, error) {
	const op = "request"
	m.Reply = ""
	if err := check(op, m); err != nil {
		return bus.Message{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = bounded(ctx)
		defer cancel()
	}
	answer, err := c.ask(ctx, m)
	if err != nil {
		return bus.Message{}, wrong(op, m.Subject, err)
	}
	return incoming(answer), nil
}

func (c *Conn) ask(ctx context.Context, m bus.Message) (*nats.Msg, error) {
	if len(m.Header) == 0 {
		return c.nc.RequestWithContext(ctx, m.Subject, m.Data)
	}
	return c.nc.RequestMsgWithContext(ctx, message(m))
}

// Inbox returns a fresh subject.
func (c *Conn) Inbox() string { return c.nc.NewInbox() }

// subscription is one at NATS.
type subscription struct {
	sub  *nats.Subscription
	gate sync.RWMutex // held for reading while f is chosen to be called
	over bool

	drain sync.Once
	done  chan struct{} // closed when f is called no more
}

// Subscribe starts a subscription.
func (c *Conn) Subscribe(ctx context.Context, subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, "subscribe to", subject, "it is no subject")
	}
	s := &subscription{done: make(chan struct{})}
	deliver := func(m *nats.Msg) {
		got, ok := c.received(m)
		if !ok {
			return
		}
		s.gate.RLock()
		over := s.over
		s.gate.RUnlock()
		if !over {
			f(got)
		}
	}
	var err error
	if group == "" {
		s.sub, err = c.nc.Subscribe(subject, deliver)
	} else {
		s.sub, err = c.nc.QueueSubscribe(subject, group, deliver)
	}
	if err != nil {
		return nil, wrong("subscribe to", subject, err)
	}
	s.sub.SetClosedHandler(func(string) { close(s.done) })
	s.sub.SetPendingLimits(pendingMessages, pendingBytes)
	if err := c.stands(ctx, s, subject); err != nil {
		return nil, err
	}
	return s, nil
}

// stands returns when a subscription stands at the server; else it is ended. Subscriptions and what is published afterwards travel on
// one connection in order; another connection must find it standing as well.
func (c *Conn) stands(ctx context.Context, s bus.Subscription, subject string) error {
	if err := c.flush(ctx); err != nil {
		s.Unsubscribe()
		return wrong("subscribe to", subject, err)
	}
	return nil
}

// flush returns when the server has seen what was sent. Why a loop? A connection that is lost
// meanwhile is reported like one that was closed, but it comes back.
func (c *Conn) flush(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for {
		err := c.nc.FlushWithContext(ctx)
		if !errors.Is(err, nats.ErrConnectionClosed) || c.nc.IsClosed() || ctx.Err() != nil {
			return err
		}
	}
}

// Drain ends the subscription when all has been delivered.
func (s *subscription) Drain() (err error) {
	s.drain.Do(func() {
		if err = s.sub.Drain(); err == nil {
			<-s.done // also when the connection ends
		}
	})
	return ended(s.sub, err)
}

// Unsubscribe ends the subscription.
func (s *subscription) Unsubscribe() error {
	s.gate.Lock()
	s.over = true
	s.gate.Unlock()
	return ended(s.sub, s.sub.Unsubscribe())
}

// ended is what went wrong when a subscription was ended; it may have been before.
func ended(sub *nats.Subscription, err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubscription) {
		return nil
	}
	return wrong("unsubscribe from", sub.Subject, err)
}
