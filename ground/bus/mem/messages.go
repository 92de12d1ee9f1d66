package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
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
	busy    bool // f is called
	ended   bool
}

// Subscribe starts a subscription.
func (c *conn) Subscribe(ctx context.Context, subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, "subscribe to", subject, "it is no subject")
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.KindOf(err), "subscribe to", subject, err)
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

// served is a subscription with a goroutine for each message.
type served struct {
	bus.Subscription
	calls *sync.WaitGroup
}

// Serve starts a subscription whose f may take its time.
func (c *conn) Serve(ctx context.Context, subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	var calls sync.WaitGroup
	sub, err := c.Subscribe(ctx, subject, group, func(m bus.Message) {
		calls.Add(1)
		call := func() {
			defer calls.Done()
			f(m)
		}
		if c.begin("handle", call) != nil { // Close waits for it, or came first
			calls.Done()
		}
	})
	if err != nil {
		return nil, err
	}
	return served{sub, &calls}, nil
}

// Drain ends the subscription when all has been handled.
func (s served) Drain() error {
	err := s.Subscription.Drain()
	s.calls.Wait()
	return err
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
		sub.busy = true
		sub.mu.Unlock()
		sub.f(m)
		sub.mu.Lock()
		sub.busy = false
		sub.more.Broadcast()
		sub.mu.Unlock()
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

// Drain ends the subscription when all has been delivered.
func (sub *subscription) Drain() error {
	sub.leave()
	sub.mu.Lock()
	for !sub.ended && (len(sub.pending) > 0 || sub.busy) {
		sub.more.Wait()
	}
	sub.mu.Unlock()
	return sub.Unsubscribe()
}

// leave makes the server give the subscription no more.
func (sub *subscription) leave() {
	sub.c.s.mu.Lock()
	delete(sub.c.s.subs, sub)
	sub.c.s.mu.Unlock()
}

func (sub *subscription) stop() {
	sub.leave()
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
	sub.more.Broadcast() // who delivers, and who drains
}

// Publish sends a message.
func (c *conn) Publish(subject string, data []byte) error {
	return c.Send(bus.Message{Subject: subject, Data: data})
}

// Send sends a message with all that it has.
func (c *conn) Send(m bus.Message) error {
	_, err := c.publish(m)
	return err
}

func (c *conn) publish(m bus.Message) (receivers int, err error) {
	const op = "publish to"
	if err := c.live(op); err != nil {
		return 0, err
	}
	if err := bus.CheckMessage(m); err != nil {
		return 0, fault.New(fault.Invalid, op, m.Subject, err)
	}
	if err := sized(op, m.Subject, m.Data); err != nil {
		return 0, err
	}
	return c.s.publish(m), nil
}

func (s *Server) publish(m bus.Message) int {
	subject := m.Subject
	own := func() bus.Message {
		return bus.Message{Subject: subject, Reply: m.Reply, Header: maps.Clone(m.Header), Data: bytes.Clone(m.Data)}
	}
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
			sub.push(own())
			n++
		}
	}
	for _, members := range groups {
		slices.SortFunc(members, func(a, b *subscription) int { return int(a.order) - int(b.order) })
		s.turn++
		members[s.turn%uint64(len(members))].push(own())
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
func (c *conn) Request(ctx context.Context, m bus.Message) (none bus.Message, err error) {
	subject := m.Subject
	if err := c.check(ctx, "request", subject); err != nil {
		return none, err
	}
	m.Reply = c.Inbox()
	answer := make(chan bus.Message, 1)
	sub, err := c.Subscribe(ctx, m.Reply, "", func(m bus.Message) {
		select {
		case answer <- m:
		default:
		}
	})
	if err != nil {
		return none, err
	}
	defer sub.Unsubscribe()
	n, err := c.publish(m)
	if err != nil {
		return none, err
	}
	if n == 0 {
		return none, fault.Text(fault.NotFound, "request", subject, "nobody listens")
	}
	select {
	case m := <-answer:
		return m, nil
	case <-ctx.Done():
		return none, fault.New(fault.KindOf(ctx.Err()), "request", subject, ctx.Err())
	case <-c.end:
		return none, fault.New(fault.Lost, "request", subject, errClosed)
	}
}
