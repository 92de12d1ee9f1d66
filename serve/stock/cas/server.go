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

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/internal/accept"
)

const (
	// smallBuffer is what an idle connection keeps.
	smallBuffer = 1 << 10
	// fullReplies is how many bytes of replies are written at once, though more follow.
	fullReplies = 32 << 10
	// maxOps is how many operations of one connection are done together.
	maxOps = 256
)

// Serve answers connections that it accepts from ln until ctx ends; then it drains as the
// package says and returns nil. It closes ln. An error of ln ends it too, with
// that error, when everything is closed. A nil o is the defaults.
func Serve(ctx context.Context, ln net.Listener, o *Options) error {
	s := &server{
		reg: o.register(), maxLine: o.maxLine(), log: o.logger(),
		line: o.lineTimeout(), idle: o.idleTimeout(), write: o.writeTimeout(), chatter: o.chatter(),
	}
	s.large.New = func() any {
		b := make([]byte, max(s.maxLine+1, fullReplies))
		return &b
	}
	s.works.New = func() any { return new(work) }
	return accept.Serve(ctx, ln, accept.Settings{Max: o.maxConns(), Drain: o.drainTimeout(), Log: s.log}, s.serve)
}

type server struct {
	reg               register.Swapper
	maxLine           int
	log               *slog.Logger
	line, idle, write time.Duration
	chatter           *chatter  // nil: none
	large             sync.Pool // *[]byte that hold a whole line
	works             sync.Pool // *work, empty
}

// work is what is needed while lines are answered, and not while a connection is idle.
type work struct {
	ops   []register.Op // asked for, not done yet
	reply []byte        // not sent yet
}

func (s *server) serve(c *accept.Conn) {
	conn := &connection{server: s, Conn: c, in: make([]byte, smallBuffer)}
	s.chatter.connection(c.RemoteAddr())
	err := conn.run()
	if conn.borrowed != nil {
		s.large.Put(conn.borrowed)
	}
	ended := errors.Is(err, io.EOF) || errors.Is(err, accept.ErrDrained)
	if !ended {
		s.log.Info("connection ended", "peer", c.RemoteAddr().String(), "error", err)
	}
	if ended || conn.lost {
		c.Finish()
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
	lost       bool      // the register has failed
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
	w := c.works.Get().(*work)
	for {
		i := bytes.IndexByte(c.in[scan:c.end], '\n')
		if i < 0 {
			break
		}
		line := c.in[c.start : scan+i]
		scan += i + 1
		c.start = scan
		c.ended, c.begun = true, time.Time{}
		if err := c.take(w, line); err != nil {
			return err
		}
	}
	if c.tooLong || c.end-c.start > c.maxLine {
		c.tooLong = true
		c.start = c.end
	}
	c.shrink(filled)
	if err := c.swap(w); err != nil {
		return err
	}
	if err := c.send(w); err != nil {
		return err
	}
	c.works.Put(w)
	return nil
}

// take adds what a line asks for. Operations are not done before there are many of them, or something else is to
// be replied: the register may be far away.
func (c *connection) take(w *work, line []byte) error {
	c.chatter.line(line)
	if !c.tooLong && len(line) <= c.maxLine {
		if op, rest, ok := parse(line); ok && len(rest) == 0 {
			if w.ops = append(w.ops, op); len(w.ops) < maxOps {
				return nil
			}
			return c.swap(w)
		}
	}
	c.tooLong = false
	if err := c.swap(w); err != nil {
		return err
	}
	w.reply = append(w.reply, BadSyntax+end...)
	return c.sendMuch(w)
}

// swap does the operations and appends their replies.
func (c *connection) swap(w *work) error {
	if len(w.ops) == 0 {
		return nil
	}
	present, err := c.reg.Swap(c.Context(), w.ops)
	if err != nil {
		// What came before is answered; of these nobody knows.
		c.lost = true
		return errors.Join(err, c.send(w))
	}
	for i := range w.ops {
		w.reply = append(present.Append(w.reply), end...)
		present = w.ops[i].After(present)
		if err := c.sendMuch(w); err != nil {
			return err
		}
	}
	clear(w.ops)
	w.ops = w.ops[:0]
	return nil
}

// sendMuch sends the replies when they are many, though more follow.
func (c *connection) sendMuch(w *work) error {
	if len(w.reply) < fullReplies {
		return nil
	}
	return c.send(w)
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

func (c *connection) send(w *work) error {
	if len(w.reply) == 0 {
		return nil
	}
	err := c.Send(w.reply, c.write)
	w.reply = w.reply[:0]
	return err
}
