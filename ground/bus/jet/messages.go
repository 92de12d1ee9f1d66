package jet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Publish sends a message.
func (c *Conn) Publish(subject string, data []byte) error {
	return c.PublishRequest(subject, "", data)
}

// PublishRequest sends a message that asks for answers.
func (c *Conn) PublishRequest(subject, reply string, data []byte) error {
	if !bus.ValidSubject(subject, false) || reply != "" && !bus.ValidSubject(reply, false) {
		return fault.Text(fault.Invalid, "publish to", subject, "it is no subject")
	}
	if err := sized("publish to", subject, data); err != nil {
		return err
	}
	if reply == "" {
		return wrong("publish to", subject, c.nc.Publish(subject, data))
	}
	return wrong("publish to", subject, c.nc.PublishRequest(subject, reply, data))
}

// Request sends a message and returns the first answer.
func (c *Conn) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if !bus.ValidSubject(subject, false) {
		return nil, fault.Text(fault.Invalid, "request", subject, "it is no subject")
	}
	if err := sized("request", subject, data); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, wrong("request", subject, err)
	}
	return m.Data, nil
}

// Inbox returns a fresh subject.
func (c *Conn) Inbox() string { return c.nc.NewInbox() }

// subscription is one at NATS.
type subscription struct {
	sub  *nats.Subscription
	gate sync.RWMutex // held for reading while f is chosen to be called
	over bool
}

// Subscribe starts a subscription.
func (c *Conn) Subscribe(subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, "subscribe to", subject, "it is no subject")
	}
	s := &subscription{}
	deliver := func(m *nats.Msg) {
		s.gate.RLock()
		over := s.over
		s.gate.RUnlock()
		if !over {
			f(bus.Message{Subject: m.Subject, Reply: m.Reply, Data: m.Data})
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
	s.sub.SetPendingLimits(pendingMessages, pendingBytes)
	// Subscriptions and what is published afterwards travel on one connection in
	// order; another connection must find it standing as well.
	if err := c.flush(callTimeout); err != nil {
		s.Unsubscribe()
		return nil, wrong("subscribe to", subject, err)
	}
	return s, nil
}

// flush returns when the server has seen what was sent. Why a loop? A connection that is lost
// meanwhile is reported like one that was closed, but it comes back.
func (c *Conn) flush(within time.Duration) error {
	late := time.Now().Add(within)
	for {
		err := c.nc.FlushTimeout(time.Until(late))
		if !errors.Is(err, nats.ErrConnectionClosed) || c.nc.IsClosed() || !time.Now().Before(late) {
			return err
		}
	}
}

// Unsubscribe ends the subscription.
func (s *subscription) Unsubscribe() error {
	s.gate.Lock()
	s.over = true
	s.gate.Unlock()
	if err := s.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		return wrong("unsubscribe from", s.sub.Subject, err)
	}
	return nil
}
