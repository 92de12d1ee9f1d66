package mem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Bounds of one subscription's backlog. What goes beyond is dropped.
const (
	pendingMessages = 64 << 10
	pendingBytes    = 64 << 20
)

// dedupFor is how long a Put remembers its id.
const dedupFor = 2 * time.Minute

// Server is the state that connections share. The zero value is ready.
type Server struct {
	mu    sync.Mutex
	subs  map[*subscription]struct{}
	turn  uint64 // whose turn it is in a group
	inbox uint64
	logs  map[string]*store
	kvs   map[string]*kv
	blobs map[string]*blobs
}

// New returns an empty server.
func New() *Server { return &Server{} }

// Connect returns a connection of its own. Close it.
func (s *Server) Connect() bus.Bus {
	return &conn{s: s, subs: map[*subscription]struct{}{}, end: make(chan struct{})}
}

// conn is one connection.
type conn struct {
	s    *Server
	end  chan struct{} // closed by Close
	wg   sync.WaitGroup
	once sync.Once

	mu     sync.Mutex
	closed bool // nothing is added to wg any more
	subs   map[*subscription]struct{}
}

var errClosed = errors.New("the connection is closed")

func (c *conn) live(op string) error {
	select {
	case <-c.end:
		return fault.New(fault.Lost, op, "", errClosed)
	default:
		return nil
	}
}

// check says why op cannot be done at all: the connection is closed, or ctx
// has ended.
func (c *conn) check(ctx context.Context, op, id string) error {
	if err := c.live(op); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.KindOf(err), op, id, err)
	}
	return nil
}

// begin runs the functions on goroutines that Close waits for.
func (c *conn) begin(op string, run ...func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(op, run...)
}

func (c *conn) beginLocked(op string, run ...func()) error {
	if c.closed {
		return fault.New(fault.Lost, op, "", errClosed)
	}
	for _, f := range run {
		c.wg.Go(f)
	}
	return nil
}

// Close ends the subscriptions and waits for their goroutines.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.end)
		c.mu.Lock()
		c.closed = true
		subs := c.subs
		c.subs = nil
		c.mu.Unlock()
		for sub := range subs {
			sub.stop()
		}
	})
	c.wg.Wait()
	return nil
}

// open returns the named thing, made at its first use.
func open[T any](ctx context.Context, c *conn, all *map[string]*T, spec bus.Spec, make_ func() *T) (*T, error) {
	if err := c.check(ctx, "open store", spec.Name); err != nil {
		return nil, err
	}
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if *all == nil {
		*all = map[string]*T{}
	}
	t := (*all)[spec.Name]
	if t == nil {
		t = make_()
		(*all)[spec.Name] = t
	}
	return t, nil
}

// Queue opens a queue.
func (c *conn) Queue(ctx context.Context, spec bus.Spec) (bus.Queue, error) {
	st, err := open(ctx, c, &c.s.logs, spec, func() *store { return newStore(c.s, spec, true) })
	if err != nil {
		return nil, err
	}
	return &queue{st, c}, nil
}

// Log opens a log.
func (c *conn) Log(ctx context.Context, spec bus.Spec) (bus.Log, error) {
	st, err := open(ctx, c, &c.s.logs, spec, func() *store { return newStore(c.s, spec, false) })
	if err != nil {
		return nil, err
	}
	return &log{st, c}, nil
}

// KV opens a key-value store.
func (c *conn) KV(ctx context.Context, spec bus.Spec) (bus.KV, error) {
	k, err := open(ctx, c, &c.s.kvs, spec, func() *kv { return newKV(spec) })
	if err != nil {
		return nil, err
	}
	return &kvConn{k, c}, nil
}

// Blobs opens a blob store.
func (c *conn) Blobs(ctx context.Context, spec bus.Spec) (bus.Blobs, error) {
	b, err := open(ctx, c, &c.s.blobs, spec, func() *blobs { return &blobs{spec: spec, all: map[string]blob{}} })
	if err != nil {
		return nil, err
	}
	return &blobsConn{b, c}, nil
}

// sized refuses data larger than a message may be.
func sized(op, id string, data []byte) error {
	if len(data) > bus.MaxMessage {
		return fault.Text(fault.Invalid, op, id, fmt.Sprintf("%d bytes, the limit is %d", len(data), bus.MaxMessage))
	}
	return nil
}
