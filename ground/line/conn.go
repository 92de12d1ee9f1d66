package line

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Options of a line. Zero and nil mean the defaults.
type Options struct {
	// MaxFrame is the largest body accepted or sent. Unit: bytes. Default 4 MiB.
	MaxFrame int
	// MaxBuffered is how much may wait to be written before Send blocks. Unit: bytes.
	// Default 1 MiB.
	MaxBuffered int
	// WriteTimeout ends a line whose peer takes nothing for so long. Default 30 s.
	WriteTimeout time.Duration
	// Received is what Detach has returned of the same connection.
	Received []byte
}

func (o *Options) received() []byte {
	if o == nil {
		return nil
	}
	return o.Received
}

func (o *Options) maxFrame() int {
	if o == nil || o.MaxFrame <= 0 {
		return 4 << 20
	}
	return o.MaxFrame
}

func (o *Options) maxBuffered() int {
	if o == nil || o.MaxBuffered <= 0 {
		return 1 << 20
	}
	return o.MaxBuffered
}

func (o *Options) writeTimeout() time.Duration {
	if o == nil || o.WriteTimeout <= 0 {
		return 30 * time.Second
	}
	return o.WriteTimeout
}

const header = 4

// Conn is one end of a line. Send may be called by many goroutines, Receive
// by one at a time.
type Conn struct {
	nc       net.Conn
	r        *bufio.Reader
	in       []byte // the frame last received
	maxFrame int

	maxBuffered  int
	writeTimeout time.Duration

	mu      sync.Mutex
	room    sync.Cond // signalled when out was taken for writing, or err is set
	out     []byte    // frames waiting to be written
	spare   []byte    // the other buffer of the pair
	writing bool      // somebody is in nc.Write and will look at out again
	err     error     // why nothing more can be sent
}

// New makes a line of an open connection whose peer is already trusted: a
// socket pair inherited, a pipe inside one process. Others go through [Client]
// and [Server] first.
func New(nc net.Conn, opts *Options) *Conn {
	c := &Conn{
		nc:           nc,
		r:            bufio.NewReaderSize(nc, 64<<10),
		maxFrame:     opts.maxFrame(),
		maxBuffered:  opts.maxBuffered(),
		writeTimeout: opts.writeTimeout(),
	}
	c.room.L = &c.mu
	c.unread(opts.received())
	return c
}

// Send queues one frame made of the parts and writes it, unless another
// goroutine is writing already and takes it along. It blocks while too much
// waits. An error is final: the line has ended.
func (c *Conn) Send(parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > c.maxFrame {
		return fault.Text(fault.Invalid, "send frame", "", fmt.Sprintf("%d bytes, the limit is %d", size, c.maxFrame))
	}
	c.mu.Lock()
	for c.err == nil && c.writing && len(c.out) > c.maxBuffered {
		c.room.Wait()
	}
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(size))
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
	if c.writing {
		c.mu.Unlock()
		return nil
	}
	c.writing = true
	return c.flushLocked()
}

// Flush returns when everything sent so far is written, or the line has ended.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing && c.err == nil {
		c.room.Wait()
	}
}

// flushLocked writes until nothing waits, then releases the lock. The caller
// holds c.mu and has set c.writing.
func (c *Conn) flushLocked() error {
	for len(c.out) > 0 && c.err == nil {
		buf := c.out
		c.out = c.spare[:0]
		c.spare = nil
		c.room.Broadcast()
		c.mu.Unlock()

		c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout))
		_, err := c.nc.Write(buf)

		c.mu.Lock()
		if cap(buf) <= 256<<10 {
			c.spare = buf[:0]
		}
		if err != nil && c.err == nil {
			c.err = ended("send", err)
		}
	}
	c.writing = false
	err := c.err
	if err != nil {
		c.out, c.spare = nil, nil
	}
	c.room.Broadcast()
	c.mu.Unlock()
	if err != nil {
		c.endReading(err)
	}
	return err
}

// lastWordsWithin is how long frames can still be received that the peer sent before
// it went.
const lastWordsWithin = time.Second

// endReading ends the other direction too, after a failed write. A peer that takes nothing is cut off; of
// one that is gone what it had sent is there to be received, and its end follows by itself.
func (c *Conn) endReading(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.nc.Close()
		return
	}
	time.AfterFunc(lastWordsWithin, func() { c.nc.Close() }) // should the end not follow
}

// Receive returns the next frame's body, valid until the next Receive.
// io.EOF when the peer closed between two frames. When a read deadline of the connection has passed the
// error is os.ErrDeadlineExceeded, and Receive may be called again: nothing is lost.
func (c *Conn) Receive() ([]byte, error) {
	var head [header]byte
	if n, err := io.ReadFull(c.r, head[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, c.broken(err, head[:n], nil)
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n > c.maxFrame {
		c.Close()
		return nil, fault.Text(fault.Invalid, "receive frame", "", fmt.Sprintf("%d bytes announced, the limit is %d", n, c.maxFrame))
	}
	// A peer that only announces a large frame must not get the memory for it.
	if cap(c.in) < n && n <= 64<<10 {
		c.in = make([]byte, n)
	}
	if cap(c.in) >= n {
		c.in = c.in[:n]
		if got, err := io.ReadFull(c.r, c.in); err != nil {
			return nil, c.broken(err, head[:], c.in[:got])
		}
		return c.in, nil
	}
	return c.receiveLarge(n, head[:])
}

func (c *Conn) receiveLarge(n int, head []byte) ([]byte, error) {
	buf := c.in[:0]
	for len(buf) < n {
		step := min(n-len(buf), max(64<<10, len(buf)))
		start := len(buf)
		buf = append(buf, make([]byte, step)...)
		if got, err := io.ReadFull(c.r, buf[start:]); err != nil {
			return nil, c.broken(err, head, buf[:start+got])
		}
	}
	if n <= 1<<20 {
		c.in = buf
	}
	return buf, nil
}

// broken is the error of a frame of which only a part could be read. After a deadline the part is
// put back.
func (c *Conn) broken(err error, head, body []byte) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.unread(slices.Concat(head, body))
	}
	return ended("receive", err)
}

// unread lets b be received before what comes from the connection.
func (c *Conn) unread(b []byte) {
	if len(b) == 0 {
		return
	}
	rest, _ := c.r.Peek(c.r.Buffered())
	b = slices.Concat(b, rest)
	c.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(b), c.nc), max(len(b), c.r.Size()))
	c.r.Peek(len(b)) // so that they count as buffered
}

// Detach returns what was received and not yet asked for, the part of a frame too, so that another line can
// go on with the same connection: see Options.Received. If none does, this one can. Nobody may be in
// Receive. What was sent may still wait to be written: see Flush.
func (c *Conn) Detach() []byte {
	rest, _ := c.r.Peek(c.r.Buffered())
	return slices.Clone(rest)
}

// Buffered returns how many received bytes wait to be read: 0 means that
// Receive would wait for the peer.
func (c *Conn) Buffered() int { return c.r.Buffered() }

// Close ends the line in both directions. Frames not yet written are lost.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.err == nil {
		c.err = fault.New(fault.Lost, "send", "", net.ErrClosed)
	}
	c.room.Broadcast()
	c.mu.Unlock()
	return c.nc.Close()
}

func ended(op string, err error) error {
	return fault.New(fault.Lost, op, "", err)
}
