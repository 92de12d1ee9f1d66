package handoff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
)

// Listener accepts the connections that are handed over to this process: *TCPConn and *UnixConn. One
// goroutine tells the sender which have ended; Close waits for it.
type Listener struct {
	conn *net.UnixConn
	addr net.Addr

	receiving sync.Mutex // held while a connection is received, and until the sender knows it

	ends  atomic.Int64  // not told to the sender yet
	wake  chan struct{} // holds an item when ends has grown
	over  chan struct{} // closed by Close
	close sync.Once
	tell  sync.WaitGroup
}

// Inherit makes a listener of the descriptor that this process was started with, and takes it. The
// network, tcp or unix, and the address are what the sender accepts at. Errors: fault.NotFound when there is
// none, fault.Invalid when it is something else.
func Inherit(fd int, network, addr string) (*Listener, error) {
	conn, err := process.Inherited(fd)
	if err != nil {
		return nil, err
	}
	l, err := listen(conn, network, addr)
	if err != nil {
		conn.Close()
		return nil, fault.New(fault.Invalid, "take connections from", strconv.Itoa(fd), err)
	}
	return l, nil
}

func listen(conn net.Conn, network, addr string) (*Listener, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.New("it is no Unix socket")
	}
	a, err := parseAddr(network, addr)
	if err != nil {
		return nil, err
	}
	l := &Listener{conn: uc, addr: a, wake: make(chan struct{}, 1), over: make(chan struct{})}
	l.tell.Go(l.tellEnds)
	return l, nil
}

func parseAddr(network, addr string) (net.Addr, error) {
	switch network {
	case "tcp":
		a, err := netip.ParseAddrPort(addr)
		return net.TCPAddrFromAddrPort(a), err
	case "unix":
		return &net.UnixAddr{Name: addr, Net: network}, nil
	}
	return nil, fmt.Errorf("%q has no connections", network)
}

// Accept returns the next connection that was handed over. net.ErrClosed after Close, or when there will be
// none any more; syscall.EMFILE when this process has no descriptor for it, in which case the sender
// has the connection back; fault.Invalid, and the listener is closed, when the sender makes no sense.
func (l *Listener) Accept() (net.Conn, error) {
	l.receiving.Lock()
	defer l.receiving.Unlock()
	for {
		c, err := l.accept()
		// One that was reset meanwhile has lost its peer's address, which a server may rely on.
		if err != nil || c.RemoteAddr() != nil {
			return c, err
		}
		c.Close()
	}
}

func (l *Listener) accept() (net.Conn, error) {
	c, err := l.receive()
	switch {
	case errors.Is(err, errNoDescriptor):
		if _, err := l.conn.Write([]byte{returned}); errors.Is(err, net.ErrClosed) {
			return nil, net.ErrClosed
		}
		return nil, err
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
		return nil, net.ErrClosed
	case err != nil:
		l.Close()
		return nil, fault.New(fault.KindOf(err), "take connection", l.addr.String(), err)
	}
	if _, err := l.conn.Write([]byte{took}); errors.Is(err, net.ErrClosed) {
		c.Close() // the sender has it back
		return nil, net.ErrClosed
	}
	// Any other error means that the sender is no more, and nobody else has the connection.
	return c, nil
}

// receive returns the next connection, which the sender still counts as its own.
func (l *Listener) receive() (net.Conn, error) {
	f, read, err := readFrame(l.conn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			return nil, errNoDescriptor
		}
		return nil, fault.New(fault.Invalid, "", "", err)
	}
	switch c := c.(type) {
	case *net.TCPConn:
		return &TCPConn{c, l.handed(read)}, nil
	case *net.UnixConn:
		return &UnixConn{c, l.handed(read)}, nil
	}
	c.Close()
	return nil, fault.Text(fault.Invalid, "", "", "it is no connection")
}

func (l *Listener) handed(read []byte) *handed {
	return &handed{read: read, close: func() {
		l.ends.Add(1)
		nudge(l.wake)
	}}
}

// tellEnds tells the sender which connections have ended. Not by those who close them: the sender
// need not read.
func (l *Listener) tellEnds() {
	for {
		select {
		case <-l.wake:
		case <-l.over:
			return
		}
		n := l.ends.Swap(0)
		if _, err := l.conn.Write(bytes.Repeat([]byte{ended}, int(n))); err != nil {
			return
		}
	}
}

// Close ends Accept. What was taken goes on; what was not goes back to the sender.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.close.Do(func() {
		close(l.over)
		err = l.conn.Close()
		l.tell.Wait()
	})
	return err
}

// Addr is where the sender accepts.
func (l *Listener) Addr() net.Addr { return l.addr }
