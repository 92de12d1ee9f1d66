package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/stock/internal/accept"
	"github.com/universal-server/become/serve/stock/internal/hangup"
	"github.com/universal-server/become/serve/stock/internal/relay"
)

// MaxBackends is the most backends that a proxy has.
const MaxBackends = 1000

// Proxy passes connections on. Its listeners share the backends.
type Proxy struct {
	o    Options
	pool *pool
}

// New returns a proxy for backends, each "host:port" or "unix:/path". A nil o is the defaults. The
// errors are of kind fault.Invalid.
func New(backends []string, o *Options) (*Proxy, error) {
	p := &Proxy{}
	if o != nil {
		p.o = *o
	}
	if err := p.o.check(); err != nil {
		return nil, err
	}
	p.o = p.o.withDefaults()
	addresses, err := parse(backends)
	if err != nil {
		return nil, err
	}
	p.pool = newPool(addresses, p.o)
	return p, nil
}

func parse(backends []string) ([]socket.Address, error) {
	const op = "use backend"
	if len(backends) == 0 || len(backends) > MaxBackends {
		return nil, fault.Text(fault.Invalid, "start proxy", "", "a proxy has 1 to 1000 backends")
	}
	seen := map[socket.Address]bool{}
	var all []socket.Address
	for _, text := range backends {
		a, err := socket.Parse(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, op, text, err)
		}
		if _, port, _ := net.SplitHostPort(a.Addr); a.Network == "udp" || a.TLS || port == "0" || a.Name != "" {
			return nil, fault.Text(fault.Invalid, op, text, "it must be host:port or unix:/path")
		}
		if seen[a] {
			return nil, fault.Text(fault.Invalid, op, text, "it is there twice")
		}
		seen[a] = true
		all = append(all, a)
	}
	return all, nil
}

// Serve passes on connections that it accepts from the listeners until ctx ends; then it drains as the
// package says and returns nil. It closes the listeners. An error of one ends it too, with that error. A
// backend that is one of the listeners is fault.Invalid. It is to be called once.
func (p *Proxy) Serve(ctx context.Context, listeners []net.Listener) error {
	for _, ln := range listeners {
		if b := p.pool.itself(ln.Addr()); b != "" {
			for _, ln := range listeners {
				ln.Close()
			}
			return fault.Text(fault.Invalid, "start proxy", "", "the backend "+b+" is the proxy itself")
		}
	}
	checking, stop := context.WithCancel(context.WithoutCancel(ctx))
	var checks sync.WaitGroup
	for _, b := range p.pool.backends {
		checks.Go(func() { p.pool.keepChecking(checking, b) })
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	settings := accept.Settings{Max: p.o.MaxConns, Drain: p.o.DrainTimeout, Patient: true, Log: p.o.Logger}
	errs := make([]error, len(listeners))
	var wg sync.WaitGroup
	for i, ln := range listeners {
		wg.Go(func() {
			errs[i] = accept.Serve(serving, ln, settings, p.serve)
			end()
		})
	}
	wg.Wait()
	stop()
	checks.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

// serve serves one connection.
func (p *Proxy) serve(c *accept.Conn) {
	log := p.o.Logger.With("peer", c.RemoteAddr().String())
	began := time.Now()
	b, err := p.connect(c)
	if err != nil {
		log.Warn("closed without a backend", "after", time.Since(began).Round(time.Millisecond).String(), "err", err)
		return
	}
	defer p.pool.release(b.backend)
	log = log.With("backend", b.addr.String())
	if p.o.Header != 0 {
		b.conn.SetWriteDeadline(time.Now().Add(p.o.DialWithin))
		_, err = b.conn.Write(header(p.o.Header, c.RemoteAddr(), c.LocalAddr()))
		b.conn.SetWriteDeadline(time.Time{})
		if err != nil {
			b.conn.Close()
			log.Warn("the backend takes no header", "err", err)
			return
		}
	}
	err = relay.Run(c.Conn, b.conn, p.o.IdleWithin)
	log.Debug("ended", "took", time.Since(began).Round(time.Millisecond).String(), "err", err)
}

// connected is a connection to a backend.
type connected struct {
	*backend
	conn net.Conn
}

// connect connects to a live backend, within the time and as long as the client is there.
func (p *Proxy) connect(c *accept.Conn) (connected, error) {
	ctx, cancel := context.WithTimeout(c.Context(), p.o.WaitWithin)
	defer cancel()
	b, err := p.pool.connect(ctx, false)
	if !errors.Is(err, errAllDown) {
		return b, err
	}
	// It may be long: is the client still there then?
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := hangup.Wait(c.Conn); err == nil || errors.Is(err, net.ErrClosed) {
			cancel()
		}
	})
	b, err = p.pool.connect(ctx, true)
	c.SetReadDeadline(time.Unix(1, 0))
	watch.Wait()
	c.SetReadDeadline(time.Time{})
	return b, err
}
