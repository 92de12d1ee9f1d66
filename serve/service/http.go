package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// HTTPOptions are the manners of an HTTP service. Zero means the default; negative none.
type HTTPOptions struct {
	// HeaderWithin bounds the reading of a request's header. Default 10 s.
	HeaderWithin time.Duration
	// IdleWithin is how long a connection waits for its next request. Default 2 min.
	IdleWithin time.Duration
	// ReadWithin and WriteWithin bound a whole request and its answer. Default: none.
	ReadWithin, WriteWithin time.Duration
	// MaxHeader is how large a header may be, in bytes. Default 1 MiB.
	MaxHeader int
	// Grace is how long an idle connection may stay when the service drains: its next request is
	// answered, and told to be the last. Default 5 s.
	Grace time.Duration
	// Logger gets what net/http logs. Default: none.
	Logger *slog.Logger
}

func or(d, usual time.Duration) time.Duration {
	if d == 0 {
		return usual
	}
	return max(d, 0)
}

// HTTP serves requests. Their contexts do not end with the drain, only with their connections.
func HTTP(h http.Handler, o HTTPOptions) func(context.Context, Sockets) error {
	return func(ctx context.Context, s Sockets) error {
		all, err := s.Listeners()
		if err != nil {
			return err
		}
		return newWeb(ctx, h, o).serve(ctx, all)
	}
}

// web is an HTTP server that is able to leave. mu guards conns.
type web struct {
	server  *http.Server
	grace   time.Duration
	leaving atomic.Bool
	mu      sync.Mutex
	conns   map[net.Conn]http.ConnState
	emptied chan struct{} // holds an item when no connection is left
}

func newWeb(ctx context.Context, h http.Handler, o HTTPOptions) *web {
	if h == nil {
		h = http.DefaultServeMux
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &web{grace: or(o.Grace, 5*time.Second), conns: map[net.Conn]http.ConnState{}, emptied: make(chan struct{}, 1)}
	w.server = &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if w.leaving.Load() {
				rw.Header().Set("Connection", "close")
			}
			h.ServeHTTP(rw, r)
		}),
		ReadHeaderTimeout: or(o.HeaderWithin, 10*time.Second),
		IdleTimeout:       or(o.IdleWithin, 2*time.Minute),
		ReadTimeout:       or(o.ReadWithin, 0),
		WriteTimeout:      or(o.WriteWithin, 0),
		MaxHeaderBytes:    o.MaxHeader,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnState:         w.state,
	}
	return w
}

func (w *web) state(c net.Conn, s http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s != http.StateClosed && s != http.StateHijacked {
		w.conns[c] = s
		return
	}
	delete(w.conns, c)
	if len(w.conns) == 0 {
		select {
		case w.emptied <- struct{}{}:
		default:
		}
	}
}

func (w *web) serve(ctx context.Context, all []net.Listener) error {
	stop := context.AfterFunc(ctx, func() { w.leaving.Store(true) })
	defer stop()
	err := each(ctx, all, func(_ context.Context, l net.Listener) error {
		return w.server.Serve(l)
	})
	w.leaving.Store(true)
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		w.server.Close()
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
			w.server.SetKeepAlivesEnabled(false)
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
	return len(w.conns)
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
