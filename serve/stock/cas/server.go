package cas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/serve/stock/internal/accept"
)

const (
	// smallBuffer is what an idle connection keeps.
	smallBuffer = 1 << 10
	// fullReplies is how many bytes of replies are written at once, though more follow.
	fullReplies = 32 << 10
)

// Serve answers connections that it accepts from ln until ctx ends; then it drains as the
// package says and returns nil. It closes ln. An error of ln ends it too, with
// that error, when everything is closed. A nil o is the defaults.
func Serve(ctx context.Context, ln net.Listener, o *Options) error {
	s := &server{
		reg: o.register(), maxLine: o.maxLine(), log: o.logger(),
		line: o.lineTimeout(), idle: o.idleTimeout(), write: o.writeTimeout(),
	}
	s.large.New = func() any {
		b := make([]byte, max(s.maxLine+1, fullReplies))
		return &b
	}
	s.replies.New = func() any {
		b := make([]byte, 0, smallBuffer)
		return &b
	}
	return accept.Serve(ctx, ln, accept.Settings{Max: o.maxConns(), Drain: o.drainTimeout(), Log: s.log}, s.serve)
}

type server struct {
	reg               Swapper
	maxLine           int
	log               *slog.Logger
	line, idle, write time.Duration
	large             sync.Pool // *[]byte that hold a whole line
	replies           sync.Pool // *[]byte, empty
}

func (s *server) serve(c *accept.Conn) {
	conn := &connection{server: s, Conn: c, in: make([]byte, smallBuffer)}
	err := conn.run()
	if conn.borrowed != nil {
		s.large.Put(conn.borrowed)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, accept.ErrDrained):
		c.Finish()
	default:
		s.log.Info("connection ended", "peer", c.RemoteAddr().String(), "error", err)
	}
}

// connection is one peer's.
//
//	in: [ line \n line \n li            ]
//	             ^start     ^end        one line has begun, scanned as far as end
type connection struct {
	*server
	*accept.Conn
	in         []byte
	borrowed   *[]byte // in, when it is a large one
	start, end int
	begun      time.Time // when the line that is not complete began; zero: none has
	tooLong    bool      // the line that began is dropped up to its newline
	ended      bool      // a line has ended: a CR may follow that is no line
}

// run answers lines until the connection ends.
func (c *connection) run() error {
	for {
		n, err := c.receive()
		if n > 0 {
			if err := c.answer(n); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, io.EOF) && !c.clear() {
			// Whoever wrote half a line may have meant another number.
			if err := c.Send([]byte(BadSyntax+end), c.write); err != nil {
				return err
			}
		}
		return err
	}
}

// clear reports whether no line has begun. A CR after a newline begins none: some clients
// end their lines as the server does.
func (c *connection) clear() bool {
	if c.tooLong {
		return false
	}
	rest := c.in[c.start:c.end]
	return len(rest) == 0 || c.ended && len(rest) == 1 && rest[0] == '\r'
}

// receive waits for more: for a line, or for the rest of one.
func (c *connection) receive() (int, error) {
	room := c.room()
	if c.clear() {
		return c.Receive(room, c.idle)
	}
	if c.line == 0 {
		return c.Receive(room, 0)
	}
	if c.begun.IsZero() {
		c.begun = time.Now()
	}
	return c.ReceiveBy(room, c.begun.Add(c.line))
}

// room returns where to read to: at least one byte.
func (c *connection) room() []byte {
	switch {
	case c.start == c.end:
		c.start, c.end = 0, 0
	case c.start > 0:
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	}
	if c.end == len(c.in) { // never so in a large one: it holds more than the longest line
		c.borrowed = c.large.Get().(*[]byte)
		copy(*c.borrowed, c.in)
		c.in = *c.borrowed
	}
	return c.in[c.end:]
}

// answer does the operations of the lines that n more bytes complete, and sends the replies.
func (c *connection) answer(n int) error {
	filled := c.end+n == len(c.in)
	scan := c.end
	c.end += n
	reply := c.replies.Get().(*[]byte)
	defer func() {
		*reply = (*reply)[:0]
		c.replies.Put(reply)
	}()
	for {
		i := bytes.IndexByte(c.in[scan:c.end], '\n')
		if i < 0 {
			break
		}
		line := c.in[c.start : scan+i]
		scan += i + 1
		c.start = scan
		c.ended, c.begun = true, time.Time{}
		var err error
		if c.tooLong || len(line) > c.maxLine {
			c.tooLong = false
			*reply = append(*reply, BadSyntax...)
		} else if *reply, err = appendReply(c.Context(), *reply, c.reg, line, false); err != nil {
			// What came before is answered; of this one nobody knows.
			return errors.Join(err, c.send(reply))
		}
		*reply = append(*reply, end...)
		if len(*reply) >= fullReplies {
			if err := c.send(reply); err != nil {
				return err
			}
		}
	}
	if c.tooLong || c.end-c.start > c.maxLine {
		c.tooLong = true
		c.start = c.end
	}
	c.shrink(filled)
	return c.send(reply)
}

// shrink gives a large buffer back when a small one will do, so that an idle
// connection costs little; and takes a large one when the peer sends much.
func (c *connection) shrink(filled bool) {
	rest := c.in[c.start:c.end]
	switch {
	case c.borrowed == nil && filled:
		c.borrowed = c.large.Get().(*[]byte)
		c.end = copy(*c.borrowed, rest)
		c.in, c.start = *c.borrowed, 0
	case c.borrowed != nil && !filled && len(rest) < smallBuffer/2:
		small := make([]byte, smallBuffer)
		c.end = copy(small, rest)
		c.large.Put(c.borrowed)
		c.in, c.borrowed, c.start = small, nil, 0
	}
}

func (c *connection) send(reply *[]byte) error {
	if len(*reply) == 0 {
		return nil
	}
	err := c.Send(*reply, c.write)
	*reply = (*reply)[:0]
	return err
}
