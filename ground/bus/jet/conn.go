package jet

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
)

// Options of a connection. Nil and zero mean the defaults.
type Options struct {
	// Name shows up in the server's list of connections.
	Name string
	// Ticket is shown to the server. It is not sent to a URL that has a user of its own.
	Ticket string
	// Public is the fleet's public key as text: a tls:// server must have a
	// certificate signed with it. Default: the system's authorities decide.
	Public string
	// InboxPrefix begins the subjects of answers. Default "_INBOX".
	InboxPrefix string
	// Replicas is how many servers of a cluster keep each store this connection
	// makes. Default 1.
	Replicas int
	Logger   *slog.Logger
}

// callTimeout bounds each request. It is long, because disks can be slow.
const callTimeout = 30 * time.Second

// openTimeout bounds each try to open a store: a cluster that is choosing its
// leader may leave a request without any answer.
const openTimeout = 3 * time.Second

// Bounds of one subscription's backlog. What goes beyond is dropped and told.
const (
	pendingMessages = 64 << 10
	pendingBytes    = 64 << 20
)

// Conn is a connection to the bus.
type Conn struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	replicas int
	logger   *slog.Logger

	mu      sync.Mutex
	onClose []func()
	closed  bool
}

var _ bus.Bus = (*Conn)(nil)

// Connect opens a connection. fault.Denied when the server does not want it,
// fault.Lost when there is none.
func Connect(ctx context.Context, url string, opts *Options) (bus.Bus, error) {
	if opts == nil {
		opts = &Options{}
	}
	c := &Conn{replicas: max(1, opts.Replicas), logger: opts.Logger}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	settings, err := c.settings(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	if c.nc, err = nats.Connect(url, settings...); err != nil {
		return nil, wrong("connect to", url, err)
	}
	if c.js, err = jetstream.New(c.nc); err != nil {
		c.nc.Close()
		return nil, wrong("connect to", url, err)
	}
	return c, nil
}

func (c *Conn) settings(ctx context.Context, url string, opts *Options) ([]nats.Option, error) {
	timeout := 5 * time.Second
	if d, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Millisecond, time.Until(d)))
	}
	out := []nats.Option{
		nats.Name(opts.Name), nats.Timeout(timeout), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.PingInterval(20 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(c.onError),
	}
	if opts.Ticket != "" && !strings.Contains(url, "@") {
		out = append(out, nats.Token(opts.Ticket))
	}
	if opts.InboxPrefix != "" {
		out = append(out, nats.CustomInboxPrefix(opts.InboxPrefix))
	}
	if opts.Public != "" && strings.HasPrefix(url, "tls://") {
		public, err := key.ParsePublic(opts.Public)
		if err != nil {
			return nil, err
		}
		out = append(out, nats.Secure(public.ClientTLS()))
	}
	return out, nil
}

func (c *Conn) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		dropped, _ := sub.Dropped()
		c.logger.Warn("messages were dropped: their receiver is too slow", "subject", sub.Subject, "dropped", dropped)
		return
	}
	c.logger.Debug("bus", "err", err)
}

// Close ends the subscriptions and the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	end := c.onClose
	c.onClose = nil
	c.closed = true
	c.mu.Unlock()
	for _, f := range end {
		f()
	}
	c.nc.FlushTimeout(time.Second)
	c.nc.Close()
	return nil
}

// atClose runs f when the connection closes; at once if it has.
func (c *Conn) atClose(f func()) {
	c.mu.Lock()
	if !c.closed {
		c.onClose = append(c.onClose, f)
		f = nil
	}
	c.mu.Unlock()
	if f != nil {
		f()
	}
}

// Publish sends a message.
func (c *Conn) Publish(subject string, data []byte) error {
	return wrong("publish to", subject, c.nc.Publish(subject, data))
}

// PublishRequest sends a message that asks for answers.
func (c *Conn) PublishRequest(subject, reply string, data []byte) error {
	return wrong("publish to", subject, c.nc.PublishRequest(subject, reply, data))
}

// Request sends a message and returns the first answer.
func (c *Conn) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
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
	if err := c.nc.FlushTimeout(callTimeout); err != nil {
		s.Unsubscribe()
		return nil, wrong("subscribe to", subject, err)
	}
	return s, nil
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

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
