package jet

import (
	"context"
	"errors"
	"fmt"
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

	// That of Serve is a channel, which takes its memory at once. It holds a request of each of 10,000 clients that ask at the same time.
	pendingServed = 16 << 10
)

// Conn is a connection to the bus.
type Conn struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	replicas int
	logger   *slog.Logger

	life context.Context // ends with Close
	die  context.CancelFunc
	wg   sync.WaitGroup

	misdirected misdirected

	mu     sync.Mutex
	closed bool          // nothing is added to wg any more
	again  chan struct{} // closed when the connection was lost and is back
}

var _ bus.Bus = (*Conn)(nil)

// Connect opens a connection. fault.Denied when the server does not want it,
// fault.Lost when there is none.
func Connect(ctx context.Context, url string, opts *Options) (bus.Bus, error) {
	if opts == nil {
		opts = &Options{}
	}
	c := &Conn{replicas: max(1, opts.Replicas), logger: opts.Logger, again: make(chan struct{})}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	c.life, c.die = context.WithCancel(context.Background())
	settings, err := c.settings(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	if c.nc, err = nats.Connect(url, settings...); err != nil {
		return nil, notConnected(url, err)
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
		nats.PingInterval(20 * time.Second), nats.MaxPingsOutstanding(2), nats.SyncQueueLen(pendingServed),
		nats.ErrorHandler(c.onError), nats.ReconnectHandler(c.onReconnect),
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

func (c *Conn) onReconnect(*nats.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.again)
	c.again = make(chan struct{})
}

// reconnected is closed when the connection was lost and is back.
func (c *Conn) reconnected() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.again
}

// flushTimeout bounds how long Close waits for what was published.
const flushTimeout = 5 * time.Second

// Close ends the subscriptions and the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.die()
	c.wg.Wait()
	if c.nc.IsConnected() {
		c.nc.FlushTimeout(flushTimeout)
	}
	c.nc.Close()
	return nil
}

// begin runs f on a goroutine that Close waits for. f returns when c.life has ended.
func (c *Conn) begin(op string, f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.Lost, op, "", nats.ErrConnectionClosed)
	}
	c.wg.Go(f)
	return nil
}

// sized refuses data larger than a message may be.
func sized(op, id string, data []byte) error {
	if len(data) > bus.MaxMessage {
		return fault.Text(fault.Invalid, op, id, fmt.Sprintf("%d bytes, the limit is %d", len(data), bus.MaxMessage))
	}
	return nil
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
