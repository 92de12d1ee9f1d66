package handoff

import (
	"io"
	"net"
	"sync"
)

// TCPConn is a TCP connection that was handed over. It reads what had been read from it before, then the
// rest. What goes round it, as SyscallConn and File do, sees the rest only: see Buffered.
type TCPConn struct {
	*net.TCPConn
	*handed
}

// UnixConn is the same for a Unix socket. Its ReadFrom and ReadMsgUnix go round it too.
type UnixConn struct {
	*net.UnixConn
	*handed
}

// handed is what both have in common.
type handed struct {
	once  sync.Once
	close func() // called once, after the connection was closed

	mu   sync.Mutex
	read []byte // still to be read
}

// take fills b from what had been read before, if there is any left.
func (h *handed) take(b []byte) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = copy(b, h.read)
	if h.read = h.read[n:]; len(h.read) == 0 {
		h.read = nil // its memory is not needed for as long as the connection lives
	}
	return n
}

// Buffered is how many bytes that had been read before are still to be read: as long as there are some, whoever
// goes round the connection would miss them.
func (h *handed) Buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.read)
}

// writeTo writes what had been read before.
func (h *handed) writeTo(w io.Writer) (int64, error) {
	h.mu.Lock()
	b := h.read
	h.read = nil
	h.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	n, err := w.Write(b)
	return int64(n), err
}

// Read is as in net.Conn.
func (c *TCPConn) Read(b []byte) (int, error) {
	if n := c.take(b); n > 0 {
		return n, nil
	}
	return c.TCPConn.Read(b)
}

// WriteTo is as in io.WriterTo.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	before, err := c.writeTo(w)
	if err != nil {
		return before, err
	}
	n, err := c.TCPConn.WriteTo(w)
	return before + n, err
}

// Close is as in net.Conn.
func (c *TCPConn) Close() error {
	defer c.once.Do(c.close)
	return c.TCPConn.Close()
}

// Read is as in net.Conn.
func (c *UnixConn) Read(b []byte) (int, error) {
	if n := c.take(b); n > 0 {
		return n, nil
	}
	return c.UnixConn.Read(b)
}

// Close is as in net.Conn.
func (c *UnixConn) Close() error {
	defer c.once.Do(c.close)
	return c.UnixConn.Close()
}
