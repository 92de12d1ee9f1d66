package service

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/handoff"
)

// listener accepts for a service: not before the probe, not above the limit, not in the drain.
type listener struct {
	net.Listener
	r *run
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		return nil, err
	}
	return l.r.timed(c), nil
}

// accept returns a connection that is counted.
func (l *listener) accept() (net.Conn, error) {
	r := l.r
	select {
	case <-r.passed:
	case <-r.leaving:
		return nil, net.ErrClosed
	}
	r.waits(l)
	if !r.admit() {
		return nil, net.ErrClosed
	}
	c, err := l.acceptNow()
	if err != nil {
		if r.slots != nil {
			<-r.slots
		}
		return nil, err
	}
	return r.track(c), nil
}

// timed holds a connection to its times. Net/http does that itself.
func (r *run) timed(c net.Conn) net.Conn {
	if r.service.Kind == Requests {
		return c
	}
	return newTimed(c, r.manners)
}

// admit waits until one more connection may be taken, and takes a slot for it. False in the drain.
func (r *run) admit() bool {
	if r.slots != nil {
		select {
		case r.slots <- struct{}{}:
		case <-r.leaving:
			return false
		}
	}
	if r.rate == nil {
		return true
	}
	delay := r.rate.Reserve().Delay()
	if delay == 0 {
		return true
	}
	wait := time.NewTimer(delay)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-r.leaving:
		return false // whoever takes the slot is leaving as well
	}
}

// acceptNow waits when the process or the machine is out of something, and tries again.
func (l *listener) acceptNow() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		c, err := l.Listener.Accept()
		if err == nil {
			return c, nil
		}
		select {
		case <-l.r.leaving:
			return nil, net.ErrClosed
		default:
		}
		if !passing(err) {
			return nil, err
		}
		l.r.opts.Logger.Warn("cannot accept now", "err", err)
		select {
		case <-time.After(wait):
		case <-l.r.leaving:
			return nil, net.ErrClosed
		}
	}
}

func passing(err error) bool {
	for _, no := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// The connections keep their type's methods, so that copying to them stays in the kernel.
type (
	tcpConn struct {
		*net.TCPConn
		tracked
	}
	unixConn struct {
		*net.UnixConn
		tracked
	}
	otherConn struct {
		net.Conn
		tracked
	}
)

// tracked is what the connections have in common.
type tracked struct {
	r    *run
	once *sync.Once
	addr uint32 // in the log
}

func (t tracked) address() uint32 { return t.addr }

func (t tracked) closed(c io.Closer) { t.once.Do(func() { t.r.remove(c) }) }

func (c *tcpConn) Close() error   { defer c.closed(c); return c.TCPConn.Close() }
func (c *unixConn) Close() error  { defer c.closed(c); return c.UnixConn.Close() }
func (c *otherConn) Close() error { defer c.closed(c); return c.Conn.Close() }

func (r *run) track(c net.Conn) net.Conn {
	t := tracked{r, new(sync.Once), slogs.NextAddr()}
	var own net.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		own = &tcpConn{c, t}
	case *net.UnixConn:
		own = &unixConn{c, t}
	case *handoff.TCPConn:
		own = &handedTCP{c, t}
	case *handoff.UnixConn:
		own = &handedUnix{c, t}
	default:
		own = &otherConn{c, t}
	}
	r.add(own)
	return own
}

// packets is a packet socket that can no more be read from in the drain, but be written to.
type packets struct {
	net.PacketConn
	r    *run
	over atomic.Bool
}

func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.r.passed:
	case <-p.r.leaving:
		return 0, nil, net.ErrClosed
	}
	p.r.waits(p)
	n, from, err := p.PacketConn.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && p.over.Load() {
		err = net.ErrClosed
	}
	return n, from, err
}

// Close ends the reading only: the run closes the socket when it is over.
func (p *packets) Close() error {
	p.over.Store(true)
	return p.PacketConn.SetReadDeadline(time.Unix(1, 0))
}

// SetReadDeadline does nothing when the reading is over.
func (p *packets) SetReadDeadline(t time.Time) error {
	if p.over.Load() {
		return nil
	}
	err := p.PacketConn.SetReadDeadline(t)
	if p.over.Load() {
		return p.PacketConn.SetReadDeadline(time.Unix(1, 0))
	}
	return err
}

// SetDeadline sets both.
func (p *packets) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}
