package become

import (
	"context"
	"net/http"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/session"
)

// Session is a client that stays connected, over WebSocket: it sends requests, and messages can be pushed to it
// (Send). SessionOf finds it. Its methods may be called from several goroutines, also after its end, and of a nil one.
type Session = api.Session

// SessionOf returns the session by which a handler's request came; false for one that came by itself, as over plain
// HTTP.
func SessionOf(ctx context.Context) (*Session, bool) { return api.SessionOf(ctx) }

// SessionOptions are the wishes of an API about its sessions. The zero value means the defaults.
type SessionOptions struct {
	// MaxSessions is how many clients may be connected to a process at once; one more is refused with 503. Default 10,000.
	MaxSessions int
	// MaxRequests is how many requests of one session are under way at once. With 1 they are answered in
	// their order. Default 64.
	MaxRequests int
	// MaxQueue is how many pushed messages may wait for a client, and MaxQueueBytes how large they may be
	// together; a client for which more wait is cut off. Defaults 1,024 and 1 MiB.
	MaxQueue, MaxQueueBytes int
	// WriteWithin is how long a client may take to take a message. Default 10 s.
	WriteWithin time.Duration
	// PingEvery is after how long a silent client is asked whether it is there, and PongWithin how long
	// it may take to answer. Defaults 30 s and 10 s.
	PingEvery, PongWithin time.Duration
}

// withSessions puts the door of sessions before another.
func (p *apiParts) withSessions(a *api.API, other http.Handler) http.Handler {
	if o := p.opts.Sessions; p.sessions == nil {
		p.observer.sessions = func() int { return p.sessions.Open() }
		p.sessions = session.New(a, &session.Options{
			MaxSessions: o.MaxSessions, MaxRequests: o.MaxRequests, MaxMessage: p.opts.MaxBody, MaxQueue: o.MaxQueue, MaxQueueBytes: o.MaxQueueBytes,
			WriteWithin: o.WriteWithin, PingEvery: o.PingEvery, PongWithin: o.PongWithin,
			Origins: p.opts.Origins, Logger: slogs.Default(),
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session.Asked(r) {
			p.sessions.ServeHTTP(w, r)
			return
		}
		other.ServeHTTP(w, r)
	})
}

// lives ties the life of an API and its sessions to that of its service.
func (p *apiParts) lives(s *Server, a *api.API) {
	s.service.Start, s.service.Stop = a.Start, a.Stop
	serve := s.service.Serve
	s.service.Serve = func(ctx context.Context, sockets service.Sockets) error {
		p.observer.serving(ctx)
		stop := context.AfterFunc(ctx, p.sessions.Leave)
		defer stop()
		err := serve(ctx, sockets)
		p.sessions.Leave()
		p.sessions.Wait()
		return err
	}
}
