package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/socket"
)

// state of a backend. Until it is known it counts as up.
type state int

const (
	unknown state = iota
	up
	down
)

// backend is one of those that connections are passed to. The pool's mu guards what is below addr.
type backend struct {
	addr socket.Address

	state state
	conns int
	err   error // why it is down
}

// pool knows the backends. mu guards what is below it, and their states.
type pool struct {
	o        Options
	backends []*backend

	mu      sync.Mutex
	changed chan struct{} // closed when one comes up
	turn    int           // where the next choice begins
}

func newPool(addresses []socket.Address, o Options) *pool {
	p := &pool{o: o, changed: make(chan struct{})}
	for _, a := range addresses {
		p.backends = append(p.backends, &backend{addr: a})
	}
	return p
}

// errAllDown says that no backend is live.
var errAllDown = errors.New("all backends are down")

// shortPause is what follows a failure of this side.
const shortPause = 50 * time.Millisecond

// connect connects to a live backend, and to another one when that fails. When none is left it
// waits for one if it may, else it returns errAllDown. The backend has to be released.
func (p *pool) connect(ctx context.Context, wait bool) (connected, error) {
	tried := map[*backend]bool{}
	for {
		b, changed := p.take(tried)
		if b == nil && !wait {
			return connected{}, errAllDown
		}
		if b == nil {
			clear(tried)
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return connected{}, p.failed()
			}
		}
		conn, err := p.dial(ctx, b)
		if err == nil {
			p.note(b, nil)
			return connected{b, conn}, nil
		}
		p.release(b)
		switch {
		case ctx.Err() != nil:
			return connected{}, fault.New(fault.KindOf(ctx.Err()), "connect to", b.addr.String(), err)
		case ownFailure(err):
			p.o.Logger.Warn("cannot connect now", "err", err)
			select {
			case <-time.After(shortPause):
			case <-ctx.Done():
			}
		default:
			p.note(b, err)
			tried[b] = true
		}
	}
}

// take chooses a live backend that was not tried yet, and counts a connection to it.
func (p *pool) take(tried map[*backend]bool) (*backend, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *backend
	at := 0
	for i := range p.backends {
		i = (p.turn + i) % len(p.backends)
		b := p.backends[i]
		if b.state == down || tried[b] {
			continue
		}
		if best == nil || b.conns < best.conns && !p.o.RoundRobin {
			best, at = b, i
		}
	}
	if best != nil {
		best.conns++
		p.turn = at + 1
	}
	return best, p.changed
}

func (p *pool) release(b *backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.conns--
}

// failed is the error when all are down, with the reason of one of them.
func (p *pool) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.backends[0]
	return fmt.Errorf("%w; %s: %w", errAllDown, b.addr, b.err)
}

// dial connects to a backend.
func (p *pool) dial(ctx context.Context, b *backend) (net.Conn, error) {
	d := net.Dialer{Timeout: p.o.DialWithin}
	return d.DialContext(ctx, b.addr.Network, b.addr.Addr)
}

// note notes whether a backend could be connected to.
func (p *pool) note(b *backend, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := b.state
	b.err = err
	if err != nil {
		if b.state = down; was != down {
			p.o.Logger.Warn("backend is down", "backend", b.addr.String(), "err", err)
		}
		return
	}
	if b.state = up; was != up {
		p.o.Logger.Info("backend is up", "backend", b.addr.String())
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// keepChecking checks a backend until ctx ends.
func (p *pool) keepChecking(ctx context.Context, b *backend) {
	t := time.NewTicker(p.o.CheckEvery)
	defer t.Stop()
	for {
		p.check(ctx, b)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pool) check(ctx context.Context, b *backend) {
	conn, err := p.dial(ctx, b)
	if err == nil {
		if p.o.Header != 0 {
			conn.SetWriteDeadline(time.Now().Add(p.o.DialWithin))
			conn.Write(header(p.o.Header, nil, nil))
		}
		conn.Close()
	}
	if ctx.Err() == nil && !ownFailure(err) {
		p.note(b, err)
	}
}

// ownFailure says whether an error is of this side and not of a backend.
func ownFailure(err error) bool {
	for _, own := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAGAIN,
	} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}
