package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/manners"
)

// HTTPOptions of an HTTP service beside its manners. Zero means the default.
type HTTPOptions struct {
	// Grace is how long an idle connection may stay when the service drains: its next request is
	// answered, and told to be the last. Default 5 s; negative means none.
	Grace time.Duration
	// TooLarge answers a request whose body is said to be longer than the manners allow, which err says. Default: in plain text.
	TooLarge func(w http.ResponseWriter, r *http.Request, err *http.MaxBytesError)
	// Logger gets what net/http logs, and each request at slogs.LevelObject. Default: none.
	Logger *slog.Logger
}

// HTTP serves requests, for a service of kind Requests. Their contexts do not end with the drain, only with
// their connections.
func HTTP(h http.Handler, o HTTPOptions) func(context.Context, Sockets) error {
	return func(ctx context.Context, s Sockets) error {
		all, err := s.Listeners()
		if err != nil {
			return err
		}
		for _, l := range all {
			if s, ok := l.(*secure); ok {
				s.speaks("h2", "http/1.1")
			}
		}
		return newWeb(baseOf(ctx, s, all), h, o, mannersOf(all)).serve(ctx, s, all)
	}
}

// baseOf returns what the contexts of requests begin with, by their listener.
func baseOf(ctx context.Context, s Sockets, all []net.Listener) func(net.Listener) context.Context {
	base := context.WithoutCancel(ctx)
	return func(l net.Listener) context.Context {
		for i, one := range all {
			if one == l {
				return withName(base, s[i].Name)
			}
		}
		return base // of noListener
	}
}

// mannersOf are those of the run that the listeners are of.
func mannersOf(all []net.Listener) manners.Manners {
	for _, l := range all {
		switch own := l.(type) {
		case *listener:
			return own.r.manners
		case *secure:
			return own.r.manners
		}
	}
	return manners.Manners{}
}

// web is an HTTP server that is able to leave. mu guards what is below it.
type web struct {
	server  *http.Server
	http2   *http.Server // its HTTP/2 connections
	grace   time.Duration
	leaving atomic.Bool
	emptied chan struct{}  // holds an item when no connection is left
	waits   sync.WaitGroup // for parked connections
	mu      sync.Mutex
	conns   map[net.Conn]http.ConnState
	parked  map[*tcpConn]struct{} // connections that net/http does not have meanwhile
	over    bool                  // none is parked any more
}

func newWeb(base func(net.Listener) context.Context, h http.Handler, o HTTPOptions, m manners.Manners) *web {
	if h == nil {
		h = http.DefaultServeMux
	}
	if m.MaxBody > 0 {
		h = boundBody(h, m.MaxBody, o.TooLarge)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &web{grace: manners.Within(manners.MS(o.Grace), 5*time.Second), conns: map[net.Conn]http.ConnState{}, parked: map[*tcpConn]struct{}{}, emptied: make(chan struct{}, 1)}
	h = told(h, o.Logger)
	last := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.leaving.Load() {
			rw.Header().Set("Connection", "close")
		}
		h.ServeHTTP(rw, r)
	})
	w.server, w.http2 = w.newServer(base, last, o, m), w.newServer(base, last, o, m)
	splitHTTP2(w.server, w.http2)
	return w
}

func (w *web) newServer(base func(net.Listener) context.Context, h http.Handler, o HTTPOptions, m manners.Manners) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: orNever(manners.Within(m.HeaderMS, 10*time.Second)),
		IdleTimeout:       orNever(manners.Within(m.IdleMS, 2*time.Minute)),
		ReadTimeout:       manners.Within(m.ReadMS, 0),
		WriteTimeout:      manners.Within(m.WriteMS, 0),
		MaxHeaderBytes:    int(m.MaxHeader),
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		BaseContext:       func(l net.Listener) context.Context { return base(acceptedAt(l)) },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return slogs.WithPeer(ctx, addressOf(c)) },
		ConnState:         w.state,
		Protocols:         new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true) // of clients that know it beforehand
	return s
}

// orNever is a time for net/http, which takes another one for zero.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// boundBody refuses longer bodies: those that say so before the handler sees the request.
func boundBody(h http.Handler, most int64, refuse func(http.ResponseWriter, *http.Request, *http.MaxBytesError)) http.Handler {
	if refuse == nil {
		refuse = sayTooLarge
	}
	bounded := http.MaxBytesHandler(h, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > most {
			refuse(w, r, &http.MaxBytesError{Limit: most})
			return
		}
		bounded.ServeHTTP(w, r)
	})
}

func sayTooLarge(w http.ResponseWriter, _ *http.Request, err *http.MaxBytesError) {
	http.Error(w, fmt.Sprintf("the body is longer than %d bytes", err.Limit), http.StatusRequestEntityTooLarge)
}

// acceptedAt is the listener below one that parks.
func acceptedAt(l net.Listener) net.Listener {
	if p, ok := l.(interface{ accepted() net.Listener }); ok {
		return p.accepted()
	}
	return l
}

func (w *web) state(c net.Conn, s http.ConnState) {
	if c, ok := c.(interface{ noted(http.ConnState) }); ok {
		c.noted(s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s != http.StateClosed && s != http.StateHijacked {
		w.conns[c] = s
		return
	}
	delete(w.conns, c)
	w.tellIfEmptyLocked()
}

// tellIfEmptyLocked tells who waits for it that no connection is left.
func (w *web) tellIfEmptyLocked() {
	if len(w.conns)+len(w.parked) == 0 {
		select {
		case w.emptied <- struct{}{}:
		default:
		}
	}
}

func (w *web) serve(ctx context.Context, s Sockets, all []net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		w.leaving.Store(true)
		goAway(w.http2)
	})
	defer stop()
	defer w.unpark()
	err := each(ctx, s, all, func(_ context.Context, l net.Listener) error {
		return w.server.Serve(w.parks(l))
	})
	w.leaving.Store(true)
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		w.unpark()
		w.server.Close()
		goAway(w.http2)
		return err
	}
	w.leave()
	return nil
}

// leave returns when no connection is left, or none that is idle. SetKeepAlivesEnabled closes
// idle connections, and Shutdown those from which nothing was read yet: both are too early before
// the grace is over.
func (w *web) leave() {
	over := time.NewTimer(w.grace)
	defer over.Stop()
	for w.open() > 0 {
		select {
		case <-w.emptied:
		case <-over.C:
			w.unpark()
			w.server.SetKeepAlivesEnabled(false)
			goAway(w.http2)
			for _, c := range w.silent() {
				c.Close()
			}
			return
		}
	}
}

func (w *web) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns) + len(w.parked)
}

// silent returns the connections that have not sent a request yet.
func (w *web) silent() (all []net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, s := range w.conns {
		if s == http.StateNew {
			all = append(all, c)
		}
	}
	return all
}
