package inetd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/stock/internal/accept"
	"github.com/universal-server/become/serve/stock/internal/hangup"
	"github.com/universal-server/become/serve/stock/internal/program"
)

// takeWithin is how long a peer whose connection is copied may take for what a program printed last.
const takeWithin = 10 * time.Second

// hearWithin bounds the wait for the last words of a program that was killed.
const hearWithin = time.Second

// Why a program has to end.
const (
	hungUp     = "the peer has hung up"
	closedHere = "the server ends" // or has closed the connection: nobody waits any more
)

// running is a program with its connection. Either that is the program's own, and watched, or
// it is copied.
type running struct {
	p       *process.Process
	conn    *accept.Conn
	copied  net.Conn       // our end of the socket pair, or nil
	said    io.Closer      // what it says on standard error
	over    chan string    // why the connection is over
	ended   bool           // the program was made to end
	unheard bool           // the peer has hung up
	in      sync.WaitGroup // the watch, or the copying of input
	out     sync.WaitGroup // the copying of output
}

// start starts the program for a connection.
func (s *Server) start(c *accept.Conn, peer address, log *slog.Logger) (*running, error) {
	r := &running{conn: c, over: make(chan string, 2)}
	f, err := r.file()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	said := program.Lines(func(text string) { log.Info("says", "text", text) })
	r.said = said
	spec := process.Spec{
		Path: s.path, Args: s.args, Dir: s.o.Dir, Env: append(peer.environ(c.Conn), s.env...),
		Stdio: [3]*os.File{f, f, nil}, Stderr: said,
	}
	if s.o.Stderr {
		spec.Stdio[2] = f
	}
	if r.p, err = process.Start(c.Context(), spec); err != nil {
		if r.copied != nil {
			r.copied.Close()
		}
		return nil, err
	}
	if r.copied == nil {
		r.in.Go(r.watch)
	} else {
		r.in.Go(r.input)
		r.out.Go(r.output)
	}
	return r, nil
}

// file returns what becomes the program's input and output.
func (r *running) file() (*os.File, error) {
	buffered := 0 // bytes that the program would miss
	if handed, ok := r.conn.Conn.(interface{ Buffered() int }); ok {
		buffered = handed.Buffered()
	}
	if own, ok := r.conn.Conn.(interface{ File() (*os.File, error) }); ok && buffered == 0 {
		f, err := own.File()
		if err != nil {
			return nil, err
		}
		// Programs do not expect to be told to try again. The connection's own reads and writes are not
		// used meanwhile.
		if err := program.SetBlocking(f, true); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	conn, f, err := process.Pair()
	r.copied = conn
	return f, err
}

// wait returns when the program has ended, with "", or why it has to. One whose peer has hung up has
// grace to notice it, and to end by itself.
func (r *running) wait(cut context.Context, within, grace time.Duration) (why string) {
	var late <-chan time.Time
	if within > 0 {
		t := time.NewTimer(within)
		defer t.Stop()
		late = t.C
	}
	over := r.over
	for why == "" {
		select {
		case <-r.p.Done():
			return ""
		case why = <-over:
			if why == hungUp {
				t := time.NewTimer(grace)
				defer t.Stop()
				late, over, r.unheard, why = t.C, nil, true, ""
			}
		case <-late:
			if why = "its time is over"; r.unheard {
				why = hungUp
			}
		case <-cut.Done():
			why = closedHere
		}
	}
	r.ended = true
	return why
}

// end ends the program: at once when nobody waits for it any more.
func (r *running) end(cut context.Context, why string, grace time.Duration) error {
	if why == closedHere {
		grace = 0
	}
	return program.End(cut, r.p, grace)
}

// watch waits until the connection is over.
func (r *running) watch() { r.isOver(hangup.Wait(r.conn.Conn)) }

func (r *running) isOver(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // close has said so
	case errors.Is(err, net.ErrClosed):
		r.over <- closedHere
	default:
		r.over <- hungUp
	}
}

// input copies what the peer sends. A program that takes no more of it goes on.
func (r *running) input() {
	if err, _ := carry(r.copied, r.conn.Conn); err != nil {
		r.isOver(err)
	}
	if half, ok := r.copied.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// output copies what the program prints, until it has closed its output.
func (r *running) output() {
	if _, err := carry(r.conn.Conn, r.copied); err != nil {
		r.isOver(err)
	}
}

// carry copies until the end of from. readErr and writeErr say whose error ended it before.
func carry(to, from net.Conn) (readErr, writeErr error) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// close ends the connection of a program that is gone: after all that it printed, if it ended by itself.
func (r *running) close() {
	select {
	case <-r.p.Done():
		r.said.Close()
	case <-time.After(hearWithin): // it could not be killed
	}
	switch {
	case r.ended:
		r.conn.Close()
		if r.copied != nil {
			r.copied.Close()
		}
	case r.copied != nil:
		by := time.Now().Add(takeWithin)
		r.conn.SetWriteDeadline(by)
		r.copied.SetReadDeadline(by) // somebody who left the group may hold the other end
		r.out.Wait()
		r.copied.Close()
	}
	r.conn.SetReadDeadline(time.Unix(1, 0))
	r.in.Wait()
	r.out.Wait()
	if r.ended || r.unheard {
		return
	}
	if r.copied == nil && program.SetBlocking(r.conn.Conn.(syscall.Conn), false) != nil {
		return
	}
	r.conn.Finish()
}
