package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/frame"
)

const opDial = "open session with"

// Client is a session with an API, and those that follow it. It is made by Dial. Its methods may be called from several
// goroutines. mu guards what is below it.
type Client struct {
	address string
	target  target
	opts    Options
	format  frame.Format
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	ids     atomic.Uint64
	pushes  chan Reply
	done    chan struct{} // closed when err is there

	mu      sync.Mutex
	link    *link         // the session; nil while there is none
	changed chan struct{} // closed when link is another one
	trouble error         // why there is none
	err     error         // why there never will be
}

// Dial opens a session with the API at an address: http://host:port/path, https://, ws://, wss://, tls://host:port,
// host:port, or unix:/path of a socket. ctx is for the opening only. fault.Invalid for a bad address, fault.Lost when there is no server,
// fault.Denied when it refuses.
func Dial(ctx context.Context, address string, opts *Options) (*Client, error) {
	o := opts.withDefaults()
	for _, r := range o.Receivers {
		if r.err != nil {
			return nil, r.err
		}
	}
	t, err := parse(address, o.TLS)
	if err != nil {
		return nil, err
	}
	c := &Client{
		address: address, target: t, opts: o, format: frame.JSON, pushes: make(chan Reply, max(o.MaxQueue, 1)),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	if o.CBOR {
		c.format = frame.CBOR
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, c.cancel)
	first := make(chan error, 1)
	c.wg.Go(func() { c.run(first) })
	c.wg.Go(c.receive)
	err = <-first
	if !stop() && err == nil { // and that has cancelled the client
		err = fault.New(fault.KindOf(ctx.Err()), opDial, address, context.Cause(ctx))
	}
	if err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, fault.New(fault.KindOf(ctx.Err()), opDial, address, context.Cause(ctx))
		}
		return nil, err
	}
	return c, nil
}

// Close ends the session, and returns when all receivers have: it is not for them to call, nor for Opened. Requests under
// way fail with fault.Canceled. A server that does not answer costs up to 10 s.
func (c *Client) Close() error {
	c.cancel()
	c.wg.Wait()
	c.target.transport.CloseIdleConnections()
	return nil
}

// Done is closed when there will be no session any more.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why there will be no session any more; nil before.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// run has one session after the other. first is told when there is one, or that there will be none.
func (c *Client) run(first chan<- error) {
	begun := false
	for failures := 0; ; failures++ {
		l, err := c.connect()
		if err == nil {
			c.opts.Logger.Debug("session begins", "server", c.address)
			failures = 0
			c.set(l, nil)
			if !begun {
				begun = true
				first <- nil
			}
			<-l.over
			err = l.err
		}
		c.opts.Logger.Debug("session ends", "server", c.address, "err", err)
		e, _ := errors.AsType[*ending](err)
		switch {
		case c.ctx.Err() != nil:
			err = fault.Text(fault.Canceled, "use session with", c.address, "it was closed here")
		case e != nil && (e.then == dialSoon || e.then == dialAgain && begun):
			c.set(nil, err)
			c.pause(failures)
			continue
		}
		c.end(err)
		if !begun {
			first <- err
		}
		return
	}
}

// pause waits before the next try: 25 to 50 ms at first, doubled each time.
func (c *Client) pause(failures int) {
	d := min(5*time.Second, 50*time.Millisecond<<min(failures, 10))
	select {
	case <-time.After(d/2 + rand.N(d/2)):
	case <-c.ctx.Done():
	}
}

// set changes the session.
func (c *Client) set(l *link, trouble error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.trouble = l, trouble
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) end(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.set(nil, err)
	close(c.done)
}

// linked returns the session, and waits for it.
func (c *Client) linked(ctx context.Context) (*link, error) {
	if l, ok := ctx.Value(linkKey{}).(*link); ok && l.client == c {
		return l, nil
	}
	for {
		c.mu.Lock()
		l, err, trouble, changed := c.link, c.err, c.trouble, c.changed
		c.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case l != nil:
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if trouble == nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("%w; there is no session: %w", context.Cause(ctx), trouble)
		}
	}
}
