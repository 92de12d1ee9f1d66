package jet

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// maxIdle is how many readers wait for messages at most, when they were once needed.
const maxIdle = 4

// served is a subscription whose messages are read by those who handle them. One reader waits at least: who was the last
// and has a message starts another before it handles that. Who comes back waits again, unless enough do. So one message after the
// other starts no goroutine, and none waits for another.
type served struct {
	c   *Conn
	sub *nats.Subscription
	f   func(bus.Message)

	done chan struct{}  // closed when all readers have ended
	more sync.WaitGroup // the readers but the first

	mu   sync.Mutex
	idle int // readers that wait for a message, or are about to
	over bool
}

// Serve starts a subscription whose f may take its time.
func (c *Conn) Serve(ctx context.Context, subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	const op = "subscribe to"
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, op, subject, "it is no subject")
	}
	sub, err := c.nc.QueueSubscribeSync(subject, group)
	if err != nil {
		return nil, wrong(op, subject, err)
	}
	sub.SetPendingLimits(pendingServed, pendingBytes)
	s := &served{c: c, sub: sub, f: f, idle: 1, done: make(chan struct{})}
	if err := c.begin(op, s.first); err != nil {
		s.Unsubscribe()
		return nil, err
	}
	if err := c.stands(ctx, s, subject); err != nil {
		return nil, err
	}
	return s, nil
}

// first is the first reader, which waits for the others that were started: they end with the subscription, or the connection's life.
func (s *served) first() {
	defer close(s.done)
	s.read()
	s.more.Wait()
}

// read handles messages until the subscription ends, or enough others wait for them.
func (s *served) read() {
	for {
		m, err := s.sub.NextMsgWithContext(s.c.life)
		switch {
		case errors.Is(err, nats.ErrSlowConsumer), errors.Is(err, nats.ErrNoResponders):
			continue // some were dropped, and it was told; or the message says that nobody listens, which is no request
		case err != nil:
			return
		}
		got, ok := s.c.received(m)
		if !ok {
			continue
		}
		if !s.take() {
			return
		}
		s.f(got)
		if !s.wait() {
			return
		}
	}
}

// take notes that a reader has a message; false if it is too late for it.
func (s *served) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if s.idle--; s.idle == 0 {
		s.idle++
		s.more.Go(s.read)
	}
	return true
}

// wait notes that a reader is about to wait again; false if enough do.
func (s *served) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle >= maxIdle {
		return false
	}
	s.idle++
	return true
}

// Unsubscribe ends the subscription.
func (s *served) Unsubscribe() error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	return ended(s.sub, s.sub.Unsubscribe())
}

// Drain ends the subscription when all has been handled.
func (s *served) Drain() error {
	err := s.sub.Drain()
	<-s.done // they have handled what there was
	return ended(s.sub, err)
}
