//go:build unix

package service

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a connection idles until it is parked. Taking it up again costs about as much as a request, so one that idles often gets
// twice as long each time.
const (
	parkFirst = 100 * time.Millisecond
	parkMost  = 10 * time.Second
)

// whole is the size of net/http's buffer for reading: it reads so much when it holds nothing that it has read ahead.
var whole = bufio.NewReader(nil).Size()

// errParked ends the reading of net/http, which lets go of the connection then.
var errParked = errors.New("the connection is parked")

// parkable is a connection of HTTP/1 of which net/http lets go while it idles, with its buffers and its goroutine's large
// stack; a small goroutine waits for the next request, and gives it back.
//
// Net/http waits for a request in this order: its hook hears StateIdle, it sets a deadline, it reads.
type parkable struct {
	*tcpConn
	web   *web
	from  net.Listener
	phase atomic.Int32

	// Only who reads looks at these.
	begun bool          // something was read
	until time.Time     // the deadline of the idling
	after time.Duration // it is parked
}

// The phases.
const (
	busy    = iota
	ended   // a request has ended
	idling  // it waits for the next one
	leaving // net/http has been told to let go
	never   // it is not to be parked
)

func (c *parkable) SetReadDeadline(t time.Time) error {
	switch c.phase.Load() {
	case ended:
		c.until = t
		c.phase.Store(idling)
		return nil // the read sets it
	case idling:
		c.phase.Store(busy)
	}
	return c.tcpConn.SetReadDeadline(t)
}

func (c *parkable) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *parkable) Read(b []byte) (int, error) {
	if !c.begun {
		return c.first(b)
	}
	if c.phase.Load() != idling {
		return c.tcpConn.Read(b)
	}
	limit := c.until
	empty := len(b) == whole
	if empty {
		limit = earliest(c.until, time.Now().Add(c.after))
	}
	if err := c.tcpConn.SetReadDeadline(limit); err != nil {
		return 0, err
	}
	n, err := c.tcpConn.Read(b)
	switch {
	case n == 0 && limit != c.until && errors.Is(err, os.ErrDeadlineExceeded):
		c.phase.Store(leaving)
		return 0, errParked
	case n > 0:
		c.phase.Store(busy)
		if limit != c.until && err == nil { // net/http goes on waiting if that was too little
			err = c.tcpConn.SetReadDeadline(c.until)
		}
	}
	return n, err
}

// first is the first read. HTTP/2 idles in its own way.
func (c *parkable) first(b []byte) (int, error) {
	n, err := c.tcpConn.Read(b)
	if n > 0 {
		c.begun = true
		const preface = "PRI * HTTP/2"
		if k := min(n, len(preface)); bytes.Equal(b[:k], []byte(preface[:k])) {
			c.phase.Store(never)
		}
	}
	return n, err
}

func (c *parkable) Close() error {
	if c.phase.CompareAndSwap(leaving, never) && c.web.park(c) {
		return nil
	}
	return c.tcpConn.Close()
}

// noted is called when net/http changes the state.
func (c *parkable) noted(s http.ConnState) {
	if s == http.StateIdle {
		c.phase.CompareAndSwap(busy, ended)
	}
}

// parking gives net/http connections that can be parked.
type parking struct {
	net.Listener
	web *web
}

// parks returns a listener whose connections are parked while they idle. Those with TLS are not: their state is the larger part.
func (w *web) parks(l net.Listener) net.Listener { return &parking{l, w} }

func (p *parking) accepted() net.Listener { return p.Listener }

func (p *parking) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if plain, ok := c.(*tcpConn); ok && err == nil {
		return &parkable{tcpConn: plain, web: p.web, from: p.Listener, after: parkFirst}, nil
	}
	return c, err
}

// again gives net/http a connection that was parked.
type again struct {
	parking
	c *parkable // nil when it has it
}

func (a *again) Accept() (net.Conn, error) {
	c := a.c
	if c == nil {
		return nil, net.ErrClosed
	}
	a.c = nil
	return c, nil
}

func (a *again) Close() error { return nil }

// park takes a connection from net/http; false in the end of the drain.
func (w *web) park(c *parkable) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.parked[c.tcpConn] = struct{}{}
	w.waits.Go(func() { w.await(c) })
	return true
}

// await gives a parked connection back when there is something to read.
func (w *web) await(c *parkable) {
	if readable(c.tcpConn, c.until) {
		// Another value: of this one net/http has yet to say that it is closed.
		a := &again{parking{c.from, w}, &parkable{tcpConn: c.tcpConn, web: w, from: c.from, after: min(2*c.after, parkMost)}}
		w.server.Serve(a) // it ends at once; the connection goes on
		if a.c != nil {
			c.tcpConn.Close()
		}
	} else {
		c.tcpConn.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.parked, c.tcpConn)
	w.tellIfEmptyLocked()
}

// readable waits until a connection has something to read; false if it is over.
func readable(c *tcpConn, until time.Time) bool {
	raw, err := c.SyscallConn()
	if err != nil || c.SetReadDeadline(until) != nil {
		return false
	}
	n, wrong := 0, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			if n, _, wrong = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK); wrong != syscall.EINTR {
				return wrong != syscall.EAGAIN
			}
		}
	})
	return err == nil && wrong == nil && n > 0 && c.SetReadDeadline(time.Time{}) == nil
}

// unpark ends the waiting.
func (w *web) unpark() {
	w.mu.Lock()
	w.over = true
	for c := range w.parked {
		c.Close()
	}
	w.mu.Unlock()
	w.waits.Wait()
}
