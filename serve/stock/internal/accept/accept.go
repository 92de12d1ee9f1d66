package accept

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// How patient draining is with one connection.
const (
	// Settle is how long a connection is silent before it is closed.
	Settle = 100 * time.Millisecond
	// Busy is how long one that is never silent is served on.
	Busy = time.Second
	// linger is how long incoming bytes are dropped after the last answer.
	linger = 500 * time.Millisecond
)

// ErrDrained ends [Conn.Receive] when the server drains and the connection has had its time.
var ErrDrained = errors.New("draining")

// Settings are a server's, complete: there are no defaults here.
type Settings struct {
	Max   int           // connections open at once, at least 1
	Drain time.Duration // deadline of draining
	// Patient leaves connections alone until the deadline: they end by themselves.
	// [Conn.Receive] is not for them.
	Patient bool
	Log     *slog.Logger
}

// Serve accepts from ln and calls handle for each connection in a goroutine of its own,
// until ctx ends; then it drains and returns nil. It closes ln. When ln fails for good it drains
// as well and returns the error. The connection is closed when handle returns.
func Serve(ctx context.Context, ln net.Listener, s Settings, handle func(*Conn)) error {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	drain, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(drain, func() { ln.Close() })

	open := &connections{set: map[*Conn]bool{}}
	err := loop(drain, life, ln, s, open, handle)
	stop()
	if !s.Patient {
		open.wake()
	}

	cut := time.AfterFunc(s.Drain, func() {
		kill()
		open.cut()
	})
	defer cut.Stop()
	open.wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func loop(drain, life context.Context, ln net.Listener, s Settings, open *connections, handle func(*Conn)) error {
	slots := make(chan struct{}, s.Max)
	var pause time.Duration
	for {
		select {
		case slots <- struct{}{}:
		case <-drain.Done():
			return nil
		}
		conn, err := ln.Accept()
		if err != nil {
			if drain.Err() != nil || !passes(err) {
				return err
			}
			<-slots
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.Log.Warn("cannot accept; trying again", "error", err, "in", pause)
			select {
			case <-time.After(pause):
			case <-drain.Done():
				return nil
			}
			continue
		}
		pause = 0
		c := &Conn{Conn: conn, drain: drain, life: life}
		open.add(c)
		open.wg.Go(func() {
			defer func() {
				conn.Close()
				open.remove(c)
				<-slots
			}()
			handle(c)
		})
	}
}

// passes reports whether accepting may succeed later: too many open files, a
// connection gone before it was accepted.
func passes(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// connections are those that are open.
type connections struct {
	wg sync.WaitGroup

	mu  sync.Mutex
	set map[*Conn]bool
}

func (o *connections) add(c *Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set[c] = true
}

func (o *connections) remove(c *Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.set, c)
}

// wake ends every waiting read, so that its connection sees that the server drains.
func (o *connections) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.set {
		c.SetReadDeadline(time.Unix(1, 0))
	}
}

func (o *connections) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.set {
		c.Close()
	}
}

// Conn is an accepted connection. One goroutine uses it.
type Conn struct {
	net.Conn
	drain, life context.Context
	began       time.Time // when it noticed that the server drains

	// The deadlines that are set. Setting one costs as much as a small write, so
	// one that is right is left, see keep.
	readBy, writeBy time.Time
}

// keep reports whether a deadline that is set does for one that is wanted: none is early, and
// none later than an eighth of its time.
func keep(set, want time.Time, within time.Duration) bool {
	return !set.Before(want) && set.Sub(want) <= within/8
}

// Context ends when the connection is cut, not when draining begins.
func (c *Conn) Context() context.Context { return c.life }

// Receive reads some bytes into b within a time (0: without limit), or up to an eighth later. Its
// errors are those of net.Conn, os.ErrDeadlineExceeded after that time, and [ErrDrained].
func (c *Conn) Receive(b []byte, within time.Duration) (int, error) {
	if within == 0 {
		return c.receive(b, time.Time{}, 0)
	}
	return c.receive(b, time.Now().Add(within), within)
}

// ReceiveBy is Receive until a time that does not move from call to call.
func (c *Conn) ReceiveBy(b []byte, by time.Time) (int, error) {
	return c.receive(b, by, 0)
}

func (c *Conn) receive(b []byte, by time.Time, within time.Duration) (int, error) {
	for {
		draining := c.drain.Err() != nil
		if draining {
			limit, ok := c.last(by)
			if !ok {
				return 0, ErrDrained
			}
			c.SetReadDeadline(limit)
		} else if by.IsZero() != c.readBy.IsZero() || !keep(c.readBy, by, within) {
			if c.readBy = by; !by.IsZero() {
				c.readBy = by.Add(within / 8)
			}
			c.SetReadDeadline(c.readBy)
			// The server wakes its connections after its context ended: a limit that was set
			// before is undone by the waking, one that was set after is seen here.
			if c.drain.Err() != nil {
				continue
			}
		}
		n, err := c.Read(b)
		switch {
		case n > 0:
			return n, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case draining:
			return 0, ErrDrained
		case c.drain.Err() == nil:
			return 0, err
		}
	}
}

// last is until when a connection that the server drains may wait for more.
func (c *Conn) last(by time.Time) (limit time.Time, ok bool) {
	now := time.Now()
	if c.began.IsZero() {
		c.began = now
	}
	limit = c.began.Add(Busy)
	if !now.Before(limit) {
		return limit, false
	}
	if settle := now.Add(Settle); settle.Before(limit) {
		limit = settle
	}
	if !by.IsZero() && by.Before(limit) {
		limit = by
	}
	return limit, true
}

// Send writes all of b within a time (0: without limit), or up to an eighth later.
func (c *Conn) Send(b []byte, within time.Duration) error {
	if within > 0 {
		by := time.Now().Add(within)
		if !keep(c.writeBy, by, within) {
			c.writeBy = by.Add(within / 8)
			c.SetWriteDeadline(c.writeBy)
		}
	}
	_, err := c.Write(b)
	return err
}

// Finish ends the connection so that the peer gets all that was sent to it: closing with
// unread bytes would reset it.
func (c *Conn) Finish() {
	defer c.Close()
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	c.SetDeadline(time.Now().Add(linger))
	if half.CloseWrite() != nil {
		return
	}
	var b [4096]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}
