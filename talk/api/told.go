package api

import (
	"context"
	"log/slog"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/ground/trace"
)

// told says whether messages are to be logged.
func (a *API) told(ctx context.Context) bool { return a.opts.Logger.Enabled(ctx, slogs.LevelObject) }

// tellReceived logs a request's message, of the object and the peer that ctx has.
func (a *API) tellReceived(ctx context.Context, h *Handler) {
	if a.told(ctx) {
		a.event(ctx, slogs.Received, "Received "+h.Name+" from "+slogs.Peer(ctx))
	}
}

// tellSent logs what a request was answered with.
func (a *API) tellSent(ctx context.Context, h *Handler, r Reply, err error) {
	switch {
	case !a.told(ctx):
	case err != nil:
		a.event(ctx, slogs.Sent, "Sent Faulted to "+slogs.Peer(ctx), slog.String("request", h.Name), slog.Any("err", err))
	default:
		a.event(ctx, slogs.Sent, "Sent "+r.Type.Name()+" to "+slogs.Peer(ctx))
	}
}

// tellFailed logs an error that is the program's: neither what its client did wrong, nor a kind that it chose to say.
func (a *API) tellFailed(ctx context.Context, h *Handler, err error) {
	if kind := fault.KindOf(err); kind == fault.Internal || kind == fault.Remote {
		a.warn(ctx, "a handler failed", h, slog.Any("err", err))
	}
}

// tellOverdue logs that a handler is answered for, which may never return.
func (a *API) tellOverdue(ctx context.Context, h *Handler) {
	a.warn(ctx, "a handler does not answer, nor heed its context", h, slog.Duration("within", a.Timeout(h)))
}

func (a *API) warn(ctx context.Context, text string, h *Handler, more slog.Attr) {
	all := []slog.Attr{slog.String("request", h.Name), more}
	if id := trace.RequestID(ctx); id != "" {
		all = append(all, slog.String("request_id", id))
	}
	a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, text, all...)
}

// tellLate logs what a handler returned that was answered for already.
func (a *API) tellLate(ctx context.Context, h *Handler, r Reply, err error) {
	switch late := slog.String("request", h.Name); {
	case !a.told(ctx):
	case err != nil:
		a.event(ctx, slogs.Received, "Dropped Faulted", late, slog.Any("err", err))
	default:
		a.event(ctx, slogs.Received, "Dropped "+r.Type.Name(), late)
	}
}

// tellDropped logs a message that no handler takes: h is nil when there is none.
func (a *API) tellDropped(ctx context.Context, name string, h *Handler, err error) {
	switch {
	case !a.told(ctx):
	case h == nil:
		a.event(ctx, slogs.Received, "Dropped "+shown(name)+" from "+slogs.Peer(ctx))
	default:
		a.event(ctx, slogs.Received, "Dropped "+h.Name+" from "+slogs.Peer(ctx), slog.Any("err", err))
	}
}

// event logs what happened to a request, and which it was.
func (a *API) event(ctx context.Context, tag slogs.Tag, text string, more ...slog.Attr) {
	if id := trace.RequestID(ctx); id != "" {
		more = append([]slog.Attr{slog.String("request_id", id)}, more...)
	}
	a.opts.Logger.LogAttrs(ctx, slogs.LevelObject, text, append(more, tag.Attr())...)
}

// tellCreated logs that a session begins; ctx has the connection for its peer.
func (s *Session) tellCreated(ctx context.Context) {
	if s.api.told(ctx) {
		s.api.event(ctx, slogs.Created, "Created by "+slogs.Peer(ctx), s.own.Attr(), slog.String("session", s.id), slog.String("peer", s.peer))
	}
}

// tellLife logs what classes are told of a session.
func (s *Session) tellLife(what, reason string) {
	if !s.api.told(s.ctx) {
		return
	}
	var why []slog.Attr
	if reason != "" {
		why = append(why, slog.String("reason", reason))
	}
	s.api.event(s.ctx, slogs.Received, "Received "+what+" from "+slogs.Address(s.own.Addr), why...)
}

// tellPushed logs a message to a session, which is dropped if there is an error.
func (s *Session) tellPushed(name string, err error) {
	switch to := slogs.Address(s.own.Addr); {
	case !s.api.told(s.ctx):
	case err != nil:
		s.api.event(s.ctx, slogs.Received, "Dropped "+name+" to "+to, slog.Any("err", err))
	default:
		s.api.event(s.ctx, slogs.Sent, "Sent "+name+" to "+to)
	}
}

func (s *Session) tellDestroyed() {
	if s.api.told(s.ctx) {
		s.api.event(s.ctx, slogs.Destroyed, "Destroyed", s.own.Attr())
	}
}
