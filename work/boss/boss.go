package boss

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// Options of a boss. Bus and Dial are required; zero values mean the defaults.
type Options struct {
	// ID names the boss in the fleet; it is a subject token.
	ID  string
	Bus bus.Messenger
	// Dial opens a line to a worker.
	Dial func(ctx context.Context, to roster.Endpoint) (*line.Conn, error)
	// MaxCalls and MaxBytes bound what is held at once; Start blocks beyond them.
	// Defaults: 1,000,000 calls, 256 MiB.
	MaxCalls int
	MaxBytes int64
	// NoAnswer is how long to wait for any node to answer a want before the calls fail.
	// Default 10 s.
	NoAnswer time.Duration
	// Linger is how long lines are kept after the last call. Default 30 s.
	Linger time.Duration
	Logger *slog.Logger
}

// Boss hands out calls. Close it.
type Boss struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	pools  map[poolKey]*pool
	closed bool

	held held
}

type poolKey struct {
	digest string
	solo   bool
}

// New returns a boss without workers: it looks for them when there are calls.
func New(opts Options) *Boss {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.NoAnswer <= 0 {
		opts.NoAnswer = 10 * time.Second
	}
	if opts.Linger <= 0 {
		opts.Linger = 30 * time.Second
	}
	b := &Boss{opts: opts, pools: map[poolKey]*pool{}}
	b.held.maxCalls, b.held.maxBytes = opts.MaxCalls, opts.MaxBytes
	if b.held.maxCalls <= 0 {
		b.held.maxCalls = 1_000_000
	}
	if b.held.maxBytes <= 0 {
		b.held.maxBytes = 256 << 20
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

var errClosed = errors.New("the boss is closed")

// Start takes the calls, all of one digest and function, and returns; each
// one's Sink hears of it later. It blocks while too much is held already, until
// ctx ends: then, and after Close, it returns an error and none of the calls
// was taken: fault.Busy when ctx's time is over, fault.Canceled when ctx was
// cancelled. fault.Deadline when a Timeout is below zero: its time is over.
func (b *Boss) Start(ctx context.Context, calls ...*Call) error {
	if len(calls) == 0 {
		return nil
	}
	bytes := 0
	for _, c := range calls {
		if c.Timeout < 0 {
			return task.Late("start call of", c.Function, c.Timeout)
		}
		c.size = len(c.Input.Data) + 128
		bytes += c.size
	}
	if err := b.held.take(ctx, len(calls), int64(bytes)); err != nil {
		return fault.New(fault.KindOf(err), "start call of", calls[0].Function, err)
	}
	p, err := b.pool(poolKey{digest: calls[0].Digest})
	if err != nil {
		b.held.release(len(calls), int64(bytes))
		return err
	}
	p.enqueue(calls)
	return nil
}

// Prepare makes sure that workers for the bundle are being looked for, so
// that a first call finds them.
func (b *Boss) Prepare(digest string) error {
	_, err := b.pool(poolKey{digest: digest})
	return err
}

// Cancel ends a call: one that waits is answered at once, one that runs is
// told to stop and answered when it has, or after the worker's grace.
func (b *Boss) Cancel(c *Call) {
	if p := c.pool.Load(); p != nil {
		p.cancelCall(c)
	}
}

func (b *Boss) pool(key poolKey) (*pool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fault.New(fault.Canceled, "start call", "", errClosed)
	}
	p := b.pools[key]
	if p == nil {
		p = newPool(b, key)
		b.pools[key] = p
		b.wg.Go(p.manage)
	}
	return p, nil
}

// Close fails the calls still held with fault.Canceled, ends all lines and
// waits for its goroutines.
func (b *Boss) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
	return nil
}

// end reports the outcome of calls that have left their pool.
func (b *Boss) end(ended []ending) {
	if len(ended) == 0 {
		return
	}
	bytes := int64(0)
	for i := range ended {
		c := ended[i].Call
		bytes += int64(c.size)
		c.state.Store(uint32(Ended))
	}
	for rest := ended; len(rest) > 0; {
		sink := rest[0].Call.Sink
		batch, ok := sink.(Batch)
		if !ok {
			sink.Done(rest[0].Call, rest[0].Outcome, rest[0].By)
			rest = rest[1:]
			continue
		}
		n := 1
		for n < len(rest) && rest[n].Call.Sink == sink {
			n++
		}
		batch.DoneAll(rest[:n])
		rest = rest[n:]
	}
	b.held.release(len(ended), bytes)
}

// ending is a call with its outcome.
type ending = Ending

func failed(c *Call, err error) ending {
	return ending{Call: c, Outcome: task.Outcome{Status: task.Failed, Err: err}}
}

func canceled(c *Call) ending {
	return failed(c, fault.New(fault.Canceled, "call", c.Function, context.Canceled))
}

// held counts what the boss holds, and makes starters wait for room.
type held struct {
	maxCalls int
	maxBytes int64

	mu    sync.Mutex
	calls int
	bytes int64
	room  chan struct{} // closed when something was released while somebody waits
}

// take always lets one starter through when nothing is held, however much it
// brings: a single batch may be larger than the bound.
func (h *held) take(ctx context.Context, calls int, bytes int64) error {
	for {
		h.mu.Lock()
		if h.calls == 0 || h.calls+calls <= h.maxCalls && h.bytes+bytes <= h.maxBytes {
			h.calls += calls
			h.bytes += bytes
			h.mu.Unlock()
			return nil
		}
		if h.room == nil {
			h.room = make(chan struct{})
		}
		room := h.room
		h.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fault.New(fault.Busy, "", "", errors.New("too many calls are waiting for workers")).
				WithHint("wait for answers before starting more, or give the fleet more workers")
		}
	}
}

func (h *held) release(calls int, bytes int64) {
	h.mu.Lock()
	h.calls -= calls
	h.bytes -= bytes
	if h.room != nil {
		close(h.room)
		h.room = nil
	}
	h.mu.Unlock()
}
