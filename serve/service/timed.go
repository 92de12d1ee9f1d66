package service

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
)

// timed closes a connection whose peer keeps the service waiting for too long. It is used only where a time
// was asked for: it keeps data from being copied inside the kernel.
type timed struct {
	net.Conn
	idle time.Duration // 0: none

	mu      sync.Mutex
	moved   time.Time // when the service began to wait, or a byte moved
	in, out waiting
}

// waiting is what a connection waits for in one direction. The mutex of timed guards it.
type waiting struct {
	within time.Duration // for one call; 0: none
	own    time.Time     // the service's own deadline
	until  time.Time     // the end of within
	calls  int           // that wait now
	set    func(time.Time) error
}

func newTimed(c net.Conn, m manners.Manners) net.Conn {
	t := &timed{Conn: c, idle: manners.Within(m.IdleMS, 0)}
	t.in = waiting{within: manners.Within(m.ReadMS, 0), set: c.SetReadDeadline}
	t.out = waiting{within: manners.Within(m.WriteMS, 0), set: c.SetWriteDeadline}
	if t.idle+t.in.within+t.out.within == 0 {
		return c
	}
	return t
}

// chunk is how much is written before it counts as moved.
const chunk = 64 << 10

func (t *timed) Read(b []byte) (int, error) {
	t.begin(&t.in)
	n, err := t.Conn.Read(b)
	if n > 0 {
		t.move()
	}
	return n, t.end(&t.in, err)
}

func (t *timed) Write(b []byte) (n int, err error) {
	t.begin(&t.out)
	for more := true; more && err == nil; more = n < len(b) {
		var m int
		m, err = t.Conn.Write(b[n:min(len(b), n+chunk)])
		n += m
		t.move()
	}
	return n, t.end(&t.out, err)
}

func (t *timed) begin(w *waiting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	w.calls++
	t.moved = now
	if w.within > 0 {
		w.until = now.Add(w.within)
	}
	t.arm(w)
}

// move notes that bytes went through, which is patience for the other direction too.
func (t *timed) move() {
	if t.idle == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = time.Now()
	for _, w := range []*waiting{&t.in, &t.out} {
		if w.calls > 0 {
			t.arm(w)
		}
	}
}

// end closes the connection if it was our deadline that passed, not the service's own.
func (t *timed) end(w *waiting, err error) error {
	t.mu.Lock()
	w.calls--
	ours := w.own.IsZero() || time.Now().Before(w.own)
	t.mu.Unlock()
	if err == nil || !ours || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	t.Close()
	return fault.New(fault.Deadline, "wait for", t.RemoteAddr().String(), err)
}

// arm sets the deadline of a direction; the caller holds mu.
func (t *timed) arm(w *waiting) {
	deadline := w.own
	if w.calls > 0 {
		deadline = earliest(deadline, w.until)
		if t.idle > 0 {
			deadline = earliest(deadline, t.moved.Add(t.idle))
		}
	}
	w.set(deadline) // fails only if closed, which the call itself will say
}

// earliest is the first of two times, of which a zero one does not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (t *timed) SetReadDeadline(at time.Time) error  { return t.setOwn(at, &t.in) }
func (t *timed) SetWriteDeadline(at time.Time) error { return t.setOwn(at, &t.out) }
func (t *timed) SetDeadline(at time.Time) error      { return t.setOwn(at, &t.in, &t.out) }

func (t *timed) setOwn(at time.Time, all ...*waiting) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range all {
		if err := w.set(at); err != nil {
			return err
		}
		w.own = at
		t.arm(w)
	}
	return nil
}

// CloseWrite ends one direction, where the network can.
func (t *timed) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}
