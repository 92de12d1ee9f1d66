package timeserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Options are the settings of [Serve]. Zero values and nil are the defaults.
type Options struct {
	// Now tells the time; its location is the one that is shown. Defaults to time.Now.
	Now func() time.Time
	// Logger is told of answers that cannot be sent. Defaults to none.
	Logger *slog.Logger
}

func (o *Options) now() func() time.Time {
	if o == nil || o.Now == nil {
		return time.Now
	}
	return o.Now
}

func (o *Options) logger() *slog.Logger {
	if o == nil || o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

const (
	// firstPause and longestPause are what follows an error of a socket.
	firstPause   = time.Millisecond
	longestPause = time.Second
)

// Serve answers what comes to the sockets until ctx ends, and returns nil. It closes them. A
// socket that somebody else closes ends all of it, with an error that is net.ErrClosed. Without
// sockets it waits for ctx. A nil o is the defaults.
func Serve(ctx context.Context, sockets []net.PacketConn, o *Options) error {
	stopping, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for _, socket := range sockets {
		s := &server{socket: socket, now: o.now(), log: o.logger()}
		wg.Go(func() {
			if err := s.run(stopping); err != nil {
				stop(err)
			}
		})
	}
	<-stopping.Done()
	for _, socket := range sockets {
		socket.Close()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(stopping)
}

// server serves one socket.
type server struct {
	socket net.PacketConn
	now    func() time.Time
	log    *slog.Logger
	origin []byte // room for the address that a datagram came to; nil if that is known
}

// run answers until the context ends, or the socket is closed.
func (s *server) run(ctx context.Context) error {
	request := make([]byte, 64<<10) // the longest there is: a longer one would be an error on Windows
	answer := make([]byte, 0, 32)
	pause := firstPause
	if udp, ok := s.socket.(*net.UDPConn); ok && tellOrigins(udp) {
		s.origin = make([]byte, originSize)
	}
	for {
		failed, err := s.one(request, answer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err == nil:
			pause = firstPause
			continue
		}
		// ICMP errors of earlier answers show here, one each; a machine out of memory as well.
		s.log.Info(failed, "socket", s.socket.LocalAddr().String(), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// one receives one datagram and answers it.
func (s *server) one(request, answer []byte) (failed string, err error) {
	if udp, ok := s.socket.(*net.UDPConn); ok { // without an allocation
		return s.oneUDP(udp, request, answer)
	}
	_, peer, err := s.socket.ReadFrom(request)
	if err != nil {
		return "cannot receive", err
	}
	if peer == nil || peer.String() == "" { // a Unix socket without a name
		return "cannot answer", errors.New("the peer has no address")
	}
	_, err = s.socket.WriteTo(s.time(answer), peer)
	return "cannot answer", err
}

// oneUDP does it without an allocation. The answer is from the address that was asked: peers take no other for it.
func (s *server) oneUDP(udp *net.UDPConn, request, answer []byte) (failed string, err error) {
	var peer netip.AddrPort
	var told int
	if s.origin == nil {
		_, peer, err = udp.ReadFromUDPAddrPort(request)
	} else {
		_, told, _, peer, err = udp.ReadMsgUDPAddrPort(request, s.origin)
	}
	if err != nil {
		return "cannot receive", err
	}
	if from := answerFrom(s.origin[:told]); from != nil {
		if _, _, err = udp.WriteMsgUDPAddrPort(s.time(answer), from, peer); err == nil {
			return "", nil
		} // nothing can be sent from there: a multicast address, or one that is no more
	}
	_, err = udp.WriteToUDPAddrPort(s.time(answer), peer)
	return "cannot answer", err
}

func (s *server) time(b []byte) []byte {
	return append(s.now().AppendFormat(b, time.ANSIC), '\n')
}
