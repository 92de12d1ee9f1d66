package cas

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
)

const (
	clientWrite = 30 * time.Second
	maxReply    = 1 << 20
)

// Client is a connection to a server. It is safe for many goroutines: calls
// made at the same time travel together. A connection that is lost is not made again.
type Client struct {
	conn  net.Conn
	loops sync.WaitGroup // the writer and the reader
	more  sync.Cond      // of mu: out has grown, or the connection is lost

	mu      sync.Mutex
	out     []byte // not written yet
	waiting []chan reply
	first   int // of waiting
	lost    error
}

type reply struct {
	present register.Number
	err     error
}

// Dial connects to a server at a TCP address, host:port. An error is of kind
// [fault.Lost], or [fault.Canceled] or [fault.Deadline] when ctx ended first.
func Dial(ctx context.Context, addr string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		kind := fault.Lost
		if ctx.Err() != nil {
			kind = fault.KindOf(ctx.Err())
		}
		return nil, fault.New(kind, "connect to", addr, fault.Reason(err))
	}
	return NewClient(conn), nil
}

// NewClient returns the client at one end of a connection, which it owns from then on.
func NewClient(conn net.Conn) *Client {
	c := &Client{conn: conn}
	c.more.L = &c.mu
	c.loops.Go(c.write)
	c.loops.Go(c.read)
	return c
}

// CAS stores new if the register holds old, and returns the value that was present: old says that new
// is stored. Its errors are of kind [fault.Lost] when the connection ended, [fault.Canceled] or
// [fault.Deadline] when ctx ended before the reply came: it is not known then whether
// new is stored; and of [fault.Invalid] when the server called it bad syntax, because a
// number is too long: then it is not.
func (c *Client) CAS(ctx context.Context, old, new register.Number) (register.Number, error) {
	if err := ctx.Err(); err != nil {
		return register.Number{}, fault.New(fault.KindOf(err), "compare and swap", "", err)
	}
	wait := make(chan reply, 1)
	if err := c.queue(old, new, wait); err != nil {
		return register.Number{}, fault.New(fault.Lost, "compare and swap", "", err)
	}
	select {
	case r := <-wait:
		return r.present, r.err
	case <-ctx.Done():
		return register.Number{}, fault.New(fault.KindOf(ctx.Err()), "compare and swap", "", ctx.Err())
	}
}

// Close ends the connection, and calls that still wait fail.
func (c *Client) Close() error {
	c.end(net.ErrClosed)
	c.loops.Wait()
	return nil
}

// queue hands a line to the writer.
func (c *Client) queue(old, new register.Number, wait chan reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != nil {
		return c.lost
	}
	c.out = append(new.Append(append(old.Append(c.out), ' ')), '\n')
	c.waiting = append(c.waiting, wait)
	c.more.Signal()
	return nil
}

// write writes what is queued, all of it at once.
func (c *Client) write() {
	var b []byte
	for {
		c.mu.Lock()
		for len(c.out) == 0 && c.lost == nil {
			c.more.Wait()
		}
		b, c.out = c.out, b[:0]
		lost := c.lost
		c.mu.Unlock()
		if lost != nil {
			return
		}
		c.conn.SetWriteDeadline(time.Now().Add(clientWrite))
		if _, err := c.conn.Write(b); err != nil {
			c.end(err)
			return
		}
	}
}

// read hands each reply to the caller that has waited longest.
func (c *Client) read() {
	r := bufio.NewReaderSize(c.conn, 16<<10)
	for {
		line, err := readReply(r)
		if err != nil {
			c.end(err)
			return
		}
		var rep reply
		if string(line) == BadSyntax {
			rep.err = fault.Text(fault.Invalid, "compare and swap", "", "bad syntax")
		} else if rep.present, err = register.Parse(string(line)); err != nil {
			c.end(err)
			return
		}
		wait := c.next()
		if wait == nil {
			c.end(errors.New("a reply that nobody waits for"))
			return
		}
		wait <- rep
	}
}

// readReply reads up to a newline. The CR after it belongs to the reply as well, but may come
// later: it is dropped from the next.
func readReply(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(long) > maxReply {
				return nil, errors.New("a reply is too long")
			}
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimPrefix(line[:len(line)-1], []byte("\r")), nil
}

func (c *Client) next() chan reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == len(c.waiting) {
		return nil
	}
	wait := c.waiting[c.first]
	c.waiting[c.first] = nil
	c.first++
	switch {
	case c.first == len(c.waiting):
		c.waiting, c.first = c.waiting[:0], 0
	case c.first >= 1024 && 2*c.first >= len(c.waiting):
		n := copy(c.waiting, c.waiting[c.first:])
		clear(c.waiting[n:])
		c.waiting, c.first = c.waiting[:n], 0
	}
	return wait
}

// end closes the connection; the first reason is the one that callers get.
func (c *Client) end(why error) {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != nil {
		return
	}
	c.lost = why
	for _, wait := range c.waiting[c.first:] {
		wait <- reply{err: fault.New(fault.Lost, "compare and swap", "", why)}
	}
	c.waiting, c.first = nil, 0
	c.more.Signal()
}
