package master

import (
	"context"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/router"
)

// checkRoute refuses to begin or to end routing while processes serve: what the router holds when the
// last routed version leaves would have nobody to go to. The caller holds mu.
func (m *Master) checkRoute(spec Spec) error {
	if m.Status().Generation == 0 || m.routed == (spec.Route != "") {
		return nil
	}
	how := "it serves without a route, and has to be stopped before it can have one"
	if m.routed {
		how = "it serves with a route, and has to be stopped before it can be without"
	}
	return fault.Text(fault.Conflict, "deploy service", m.opts.Name, how)
}

// route starts the routers of the sockets that have none yet, if the spec asks for them. They accept as soon as
// there is a process to hand to. The caller holds mu.
func (m *Master) route(spec Spec, all []use) {
	if spec.Route == "" {
		return
	}
	for _, u := range all {
		m.startRouter(u.held)
	}
}

func (m *Master) startRouter(h *held) {
	if l, ok := h.socket.Listener.(router.Listener); ok && h.router == nil {
		h.router = router.New(l, m.Keeper, &router.Options{Logger: m.opts.Logger})
	}
}

// kept are the sockets as the keeper takes them.
func kept(all []use) []keeper.Socket {
	out := make([]keeper.Socket, len(all))
	for i, u := range all {
		out[i] = keeper.Socket{Socket: u.as, File: u.file}
	}
	return out
}

// closeRouters stops accepting, and returns when the processes have what was accepted or ctx ends.
func (m *Master) closeRouters(ctx context.Context) {
	m.mu.Lock()
	all := m.sockets
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, h := range all {
		if h.router != nil {
			wg.Go(func() { h.router.Close(ctx) })
		}
	}
	wg.Wait()
}
