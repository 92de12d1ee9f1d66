package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// subscription delivers on a goroutine of its own.
type subscription struct {
	c       *conn
	subject string
	group   string
	f       func(bus.Message)
	order   uint64

	mu      sync.Mutex
	more    sync.Cond
	pending []bus.Message
	size    int
	ended   bool
}

// Subscribe starts a subscription.
func (c *conn) Subscribe(subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, "subscribe to", subject, "it is no subject")
	}
	sub := &subscription{c: c, subject: subject, group: group, f: f}
	sub.more.L = &sub.mu
	// Under one lock with Close's: a subscription is either ended by it or not begun.
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.beginLocked("subscribe to", sub.deliver); err != nil {
		return nil, err
	}
	c.subs[sub] = struct{}{}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.subs == nil {
		c.s.subs = map[*subscription]struct{}{}
	}
	c.s.turn++
	sub.order = c.s.turn
	c.s.subs[sub] = struct{}{}
	return sub, nil
}

func (sub *subscription) deliver() {
	for {
		sub.mu.Lock()
		for len(sub.pending) == 0 && !sub.ended {
			sub.more.Wait()
		}
		if sub.ended {
			sub.mu.Unlock()
			return
		}
		m := sub.pending[0]
		sub.pending = sub.pending[1:]
		sub.size -= len(m.Data)
		sub.mu.Unlock()
		sub.f(m)
	}
}

// Unsubscribe ends the subscription.
func (sub *subscription) Unsubscribe() error {
	sub.c.mu.Lock()
	delete(sub.c.subs, sub)
	sub.c.mu.Unlock()
	sub.stop()
	return nil
}

func (sub *subscription) stop() {
	s := sub.c.s
	s.mu.Lock()
	delete(s.subs, sub)
	s.mu.Unlock()
	sub.mu.Lock()
	sub.ended = true
	sub.more.Broadcast()
	sub.mu.Unlock()
}

func (sub *subscription) push(m bus.Message) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.ended || len(sub.pending) >= pendingMessages || sub.size+len(m.Data) > pendingBytes {
		return
	}
	sub.pending = append(sub.pending, m)
	sub.size += len(m.Data)
	sub.more.Signal()
}

// Publish sends a message.
func (c *conn) Publish(subject string, data []byte) error {
	return c.PublishRequest(subject, "", data)
}

// PublishRequest sends a message that asks for answers.
func (c *conn) PublishRequest(subject, reply string, data []byte) error {
	_, err := c.publish(subject, reply, data)
	return err
}

func (c *conn) publish(subject, reply string, data []byte) (receivers int, err error) {
	if err := c.live("publish to"); err != nil {
		return 0, err
	}
	if !bus.ValidSubject(subject, false) || reply != "" && !bus.ValidSubject(reply, false) {
		return 0, fault.Text(fault.Invalid, "publish to", subject, "it is no subject")
	}
	if err := sized("publish to", subject, data); err != nil {
		return 0, err
	}
	return c.s.publish(subject, reply, data), nil
}

func (s *Server) publish(subject, reply string, data []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := map[string][]*subscription{}
	n := 0
	for sub := range s.subs {
		switch {
		case !bus.Match(sub.subject, subject):
		case sub.group != "":
			groups[sub.subject+" "+sub.group] = append(groups[sub.subject+" "+sub.group], sub)
		default:
			sub.push(bus.Message{Subject: subject, Reply: reply, Data: bytes.Clone(data)})
			n++
		}
	}
	for _, members := range groups {
		slices.SortFunc(members, func(a, b *subscription) int { return int(a.order) - int(b.order) })
		s.turn++
		members[s.turn%uint64(len(members))].push(bus.Message{Subject: subject, Reply: reply, Data: bytes.Clone(data)})
		n++
	}
	return n
}

// Inbox returns a fresh subject.
func (c *conn) Inbox() string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.inbox++
	return fmt.Sprintf("_INBOX.mem.%d", c.s.inbox)
}

// Request sends a message and returns the first answer.
func (c *conn) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if err := c.check(ctx, "request", subject); err != nil {
		return nil, err
	}
	inbox := c.Inbox()
	answer := make(chan []byte, 1)
	sub, err := c.Subscribe(inbox, "", func(m bus.Message) {
		select {
		case answer <- m.Data:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	n, err := c.publish(subject, inbox, data)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fault.Text(fault.NotFound, "request", subject, "nobody listens")
	}
	select {
	case b := <-answer:
		return b, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "request", subject, ctx.Err())
	case <-c.end:
		return nil, fault.New(fault.Lost, "request", subject, errClosed)
	}
}
