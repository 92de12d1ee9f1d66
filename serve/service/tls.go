package service

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// handshakeWithin bounds a TLS handshake.
	handshakeWithin = 10 * time.Second
	// mostUntaken is how many connections wait for the service with their handshake done. With more no
	// further ones are accepted.
	mostUntaken = 128
)

// secure gives a service connections whose TLS handshake is done: a peer that is slow or talks nonsense holds up
// nobody, and is never seen. Below it is a listener, which counts and limits the connections.
type secure struct {
	*listener
	config  *tls.Config
	begin   sync.Once
	untaken chan struct{} // an item for each connection that waits for the service
	done    chan net.Conn // handed to the service
	over    chan struct{} // closed when none will follow
	err     error         // why; to be read after over
}

func newSecure(l *listener, identity tls.Certificate) *secure {
	return &secure{
		listener: l, config: &tls.Config{Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS12},
		untaken: make(chan struct{}, mostUntaken), done: make(chan net.Conn), over: make(chan struct{}),
	}
}

// speaks names what is spoken inside of TLS, best first. It is called before the first Accept.
func (s *secure) speaks(protocols ...string) { s.config.NextProtos = protocols }

// Accept returns net.ErrClosed when the drain has begun and all that was accepted before has been returned.
func (s *secure) Accept() (net.Conn, error) {
	s.begin.Do(func() { s.r.wg.Go(s.acceptAll) })
	select {
	case c := <-s.done:
		return c, nil
	case <-s.over:
		return nil, s.err
	}
}

// acceptAll accepts until the listener ends, and returns when every handshake has.
func (s *secure) acceptAll() {
	defer close(s.over)
	var shaking sync.WaitGroup
	defer shaking.Wait()
	for {
		select {
		case s.untaken <- struct{}{}: // there is room
			<-s.untaken
		case <-s.r.leaving:
		}
		raw, err := s.accept()
		if err != nil {
			s.err = err
			return
		}
		shaking.Go(func() { s.shake(raw) })
	}
}

// explain tells a client that speaks HTTP where HTTPS is spoken, as net/http does.
func explain(err error) {
	wrong, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || wrong.Conn == nil || wrong.RecordHeader[0] < 'A' || wrong.RecordHeader[0] > 'Z' {
		return
	}
	wrong.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	io.WriteString(wrong.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis is HTTPS: the address begins with https://\n")
}

func (s *secure) shake(raw net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeWithin)
	defer cancel()
	c := tls.Server(raw, s.config)
	if err := c.HandshakeContext(ctx); err != nil {
		s.r.opts.Logger.Debug("a TLS handshake failed", "peer", raw.RemoteAddr().String(), "err", err)
		if s.r.service.Kind == Requests {
			explain(err)
		}
		raw.Close()
		return
	}
	select {
	case s.untaken <- struct{}{}:
		defer func() { <-s.untaken }()
	case <-s.r.gone:
		raw.Close()
		return
	}
	select {
	case s.done <- s.r.timed(c):
	case <-s.r.gone:
		raw.Close()
	}
}
