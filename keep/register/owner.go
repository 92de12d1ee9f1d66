package register

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
)

// maxLines is how many lines an owner has at once; more wait in the socket's queue.
const maxLines = 4096

// OwnerOptions are the settings of [Serve]. Nil and zero are the defaults.
type OwnerOptions struct {
	// Identity tells this register from others, at most 256 bytes: a [Remote] that comes back to its
	// address does not go on with another one. Registers that keep their value, whoever serves
	// them, have one that stays. Default: a new one for each call of Serve.
	Identity string
	// Logger is told of lines that end by an error. Default: none.
	Logger *slog.Logger
}

// Serve lets other processes use reg: each [Remote] that connects to ln and knows the token. It returns
// nil when ctx has ended and the operations under way are answered, or ln's error. It closes ln. The
// answers to the operations of one line come in their order.
func Serve(ctx context.Context, ln net.Listener, token []byte, reg Swapper, opts *OwnerOptions) error {
	defer ln.Close()
	s := &owner{reg: reg, token: token}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Identity == "" {
		s.opts.Identity = rand.Text()
	}
	if len(s.opts.Identity) > maxIdentity {
		return fault.Text(fault.Invalid, "serve register", "", "its identity is too long")
	}
	if s.opts.Logger == nil {
		s.opts.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(ctx)
	var lines sync.WaitGroup
	defer lines.Wait()
	defer stop()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	return s.accept(ctx, ln, &lines)
}

// owner is who serves a register.
type owner struct {
	reg   Swapper
	token []byte
	opts  OwnerOptions
}

// accept takes lines until ctx ends.
func (s *owner) accept(ctx context.Context, ln net.Listener, lines *sync.WaitGroup) error {
	slots := make(chan struct{}, maxLines)
	for pause := time.Duration(0); ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			lines.Go(func() {
				defer func() { <-slots }()
				s.serve(ctx, nc)
			})
			continue
		}
		<-slots
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Most likely there are too many open files: some will be closed.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.opts.Logger.Warn("cannot accept now", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// serve answers one line until it or ctx ends.
func (s *owner) serve(ctx context.Context, nc net.Conn) {
	conn, err := line.Server(ctx, nc, s.token, &line.Options{MaxFrame: maxRequest})
	if err != nil {
		s.opts.Logger.Info("a line is refused", "err", err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })()
	err = s.answer(ctx, conn)
	switch {
	case ctx.Err() != nil:
		conn.Send([]byte{answerLeaving})
	case err != nil && !errors.Is(err, io.EOF):
		s.opts.Logger.Info("a line ended", "err", err)
	}
	conn.Flush()
}

// answer answers operations until the line or ctx ends.
func (s *owner) answer(ctx context.Context, conn *line.Conn) error {
	// What is under way is answered, though ctx ends.
	working := context.WithoutCancel(ctx)
	if err := conn.Send([]byte(helloMagic), []byte(s.opts.Identity)); err != nil {
		return err
	}
	var ops []Op
	var reply []byte
	for ctx.Err() == nil {
		b, err := conn.Receive()
		if err != nil {
			return err
		}
		if ops, err = readOps(ops[:0], b); err != nil {
			return fault.New(fault.Invalid, "read operations", "", err)
		}
		present, err := s.reg.Swap(working, ops)
		clear(ops) // long numbers must not stay
		reply = appendAnswer(reply[:0], present, err)
		if err := conn.Send(reply); err != nil {
			return err
		}
	}
	return nil
}
