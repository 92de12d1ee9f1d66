package service

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/wire"
)

// install makes the process log as its keeper says.
func (o *Options) install(l *wire.Log, name string) {
	if o.Logs == nil {
		return
	}
	if l == nil {
		l = &wire.Log{}
	}
	format, err := slogs.ParseFormat(l.Format)
	if err != nil {
		format = slogs.Seed
	}
	opts := slogs.Options{Level: levelOf(l), Format: format, Object: slogs.Object{Addr: slogs.Process, Name: name}}
	if l.PID {
		opts.PID = os.Getpid()
	}
	o.Logs.Install(opts)
}

func levelOf(l *wire.Log) slog.Level {
	level, err := slogs.ParseLevel(l.Level)
	if err != nil {
		return slogs.LevelConsole
	}
	return level
}

// event logs what the framework does, of an object.
func (r *run) event(of slogs.Object, tag slogs.Tag, text string, more ...slog.Attr) {
	if ctx := context.Background(); r.opts.Logger.Enabled(ctx, slogs.LevelObject) {
		r.opts.Logger.LogAttrs(ctx, slogs.LevelObject, text, append(more, tag.Attr(), of.Attr())...)
	}
}

// milestone logs a step of the service's life.
func (r *run) milestone(text string, more ...slog.Attr) {
	r.opts.Logger.LogAttrs(context.Background(), slogs.LevelConsole, text, append(more, r.self.Attr())...)
}

// connection is a connection as an object.
func connection(addr uint32) slogs.Object { return slogs.Object{Addr: addr, Name: "Connection"} }

// addressOf returns the address that a connection has in the log.
func addressOf(c any) uint32 {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if own, ok := c.(interface{ address() uint32 }); ok {
		return own.address()
	}
	return slogs.Process
}

func peerOf(c any) slog.Attr {
	if own, ok := c.(net.Conn); ok && own.RemoteAddr() != nil {
		return slog.String("peer", own.RemoteAddr().String())
	}
	return slog.Attr{}
}

// told logs each request at the beginning and the end, while anybody wants to know.
func told(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if !log.Enabled(ctx, slogs.LevelObject) {
			h.ServeHTTP(w, r)
			return
		}
		began, peer := time.Now(), slogs.Peer(ctx)
		log.LogAttrs(ctx, slogs.LevelObject, "Received HttpRequest from "+peer, slogs.Received.Attr(),
			slog.String("method", r.Method), slog.String("uri", r.RequestURI))
		defer func() {
			sent := []slog.Attr{slogs.Sent.Attr(), slog.Duration("after", time.Since(began))}
			if id := w.Header().Get("X-Request-Id"); id != "" { // what the handler has told the client
				sent = append(sent, slog.String("request_id", id))
			}
			log.LogAttrs(ctx, slogs.LevelObject, "Sent HttpResponse to "+peer, sent...)
		}()
		h.ServeHTTP(w, r)
	})
}
