package api

import (
	"context"
	"log/slog"
	"reflect"

	"github.com/universal-server/become/ground/slogs"
)

// toldCall is call with the message that came and the one that goes in the log, of the object and the peer that ctx has.
func (a *API) toldCall(ctx context.Context, h *Handler, in reflect.Value) (Reply, error) {
	peer := slogs.Peer(ctx)
	a.event(ctx, slogs.Received, "Received "+h.Name+" from "+peer)
	r, err := a.call(ctx, h, in)
	if err != nil {
		a.event(ctx, slogs.Sent, "Sent Faulted to "+peer, slog.String("request", h.Name), slog.Any("err", err))
		return r, err
	}
	a.event(ctx, slogs.Sent, "Sent "+r.Type.Name()+" to "+peer)
	return r, nil
}

// tellDropped logs a message that no handler takes.
func (a *API) tellDropped(name string) {
	if ctx := context.Background(); a.opts.Logger.Enabled(ctx, slogs.LevelObject) {
		a.event(ctx, slogs.Received, "Dropped "+shown(name))
	}
}

func (a *API) event(ctx context.Context, tag slogs.Tag, text string, more ...slog.Attr) {
	a.opts.Logger.LogAttrs(ctx, slogs.LevelObject, text, append(more, tag.Attr())...)
}
