package master

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// HandoverVersion is the form of Handover that this version of the package writes, and the only one
// that it reads; that of what is in it is keeper.HandoverVersion.
const HandoverVersion = 1

// Handover is all that another program needs to go on as this master, see Master.Handover. It travels as
// JSON, beside the files that it speaks of. Treat it as opaque.
type Handover struct {
	Version int              `json:"version"`
	Keeper  *keeper.Handover `json:"keeper"`
	Sockets []heldState      `json:"sockets,omitempty"`
	Used    []useState       `json:"used,omitempty"`  // by those that serve, in their order
	Given   []string         `json:"given,omitempty"` // addresses of sockets that were open before the first master
	Routed  bool             `json:"routed,omitempty"`
	Shown   *cert.Pair       `json:"shown,omitempty"` // its certificate
}

type useState struct {
	Place int         `json:"place"` // in Sockets
	As    wire.Socket `json:"as"`
}

type heldState struct {
	Asked socket.Address `json:"asked"`
	wire.Socket
	File   int  `json:"file"`
	Router bool `json:"router,omitempty"` // it has one
}

// Handover prepares everything for the program that replaces this one, which calls Adopt: see
// keeper.Handover, and TakeBack. No Deploy may be under way. With a Route nothing is accepted from here
// on, and it fails with fault.Busy when no process takes what was accepted.
func (m *Master) Handover(ctx context.Context, out *reexec.Out) (*Handover, error) {
	m.mu.Lock()
	m.handed = true // no socket is closed from here on
	sockets, st := slices.Clone(m.sockets), &Handover{Version: HandoverVersion, Given: m.given, Routed: m.routed, Shown: m.shown}
	for _, u := range m.used {
		st.Used = append(st.Used, useState{slices.Index(sockets, u.held), u.as})
	}
	m.mu.Unlock()
	paused, err := pause(ctx, sockets)
	if err == nil {
		st.Keeper, err = m.Keeper.Handover(ctx, out)
	}
	if err != nil {
		m.goOn(paused)
		return nil, err
	}
	for _, h := range sockets {
		fd, err := out.Add(h.file)
		if err != nil {
			m.TakeBack()
			return nil, fault.New(fault.KindOf(err), "hand over socket", h.asked.String(), err)
		}
		st.Sockets = append(st.Sockets, heldState{h.asked, h.socket.Socket, fd, h.router != nil})
	}
	return st, nil
}

// pause returns those whose routers hold nothing any more, in case of an error too.
func pause(ctx context.Context, sockets []*held) (paused []*held, err error) {
	for _, h := range sockets {
		if h.router == nil {
			continue
		}
		if err := h.router.Pause(ctx); err != nil {
			return paused, err
		}
		paused = append(paused, h)
	}
	return paused, nil
}

// OnGiven says whether the master had sockets that were open before it, see Options.Activated.
func (st *Handover) OnGiven() bool { return st != nil && len(st.Given) > 0 }

// TakeBack undoes a Handover.
func (m *Master) TakeBack() {
	m.mu.Lock()
	handed, sockets := m.handed, slices.Clone(m.sockets)
	m.mu.Unlock()
	if handed {
		m.Keeper.TakeBack()
		m.goOn(sockets)
	}
}

// goOn accepts again.
func (m *Master) goOn(paused []*held) {
	for _, h := range paused {
		if h.router != nil {
			h.router.Resume()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handed = false
	m.tidyLocked()
}

// tidyLocked closes the sockets that are not used, in the end.
func (m *Master) tidyLocked() {
	if mine := m.deploys; len(m.sockets) > len(m.used) {
		m.wg.Go(func() { m.afterProbation(mine) })
	}
}

// Adopt returns the master that the program before has handed over, see keeper.Adopt. fault.Invalid for a
// state of another version; then the sockets are closed and the processes killed.
func Adopt(st *Handover, in *reexec.In, opts *Options) (*Master, error) {
	m := &Master{}
	if opts != nil {
		m.opts = *opts
	}
	if err := m.adopt(st, in); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.closeAll(m.sockets)
		return nil, fault.New(fault.KindOf(err), "adopt service", m.opts.Name, err)
	}
	return m, nil
}

func (m *Master) adopt(st *Handover, in *reexec.In) (err error) {
	switch {
	case st == nil:
		return fault.Text(fault.Invalid, "", "", "there is no state")
	case st.Version != HandoverVersion:
		return fault.Text(fault.Invalid, "", "", fmt.Sprintf("its form is version %d, this program knows version %d", st.Version, HandoverVersion))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range st.Sockets {
		h, err := adoptSocket(s, in)
		if err != nil {
			return err
		}
		m.sockets = append(m.sockets, h)
		m.opts.Holders.set(h.bound(), m.opts.Name)
	}
	for _, u := range st.Used {
		if u.Place < 0 || u.Place >= len(m.sockets) {
			return fault.Text(fault.Invalid, "", "", fmt.Sprintf("there is no socket %d", u.Place))
		}
		m.used = append(m.used, use{m.sockets[u.Place], u.As})
	}
	k := m.keeperOptions()
	if m.Keeper, err = keeper.Adopt(st.Keeper, in, &k); err != nil {
		return err
	}
	m.given, m.routed, m.shown = st.Given, st.Routed, st.Shown
	for i, s := range st.Sockets {
		if s.Router {
			m.startRouter(m.sockets[i])
		}
	}
	m.tidyLocked()
	return nil
}

func adoptSocket(s heldState, in *reexec.In) (*held, error) {
	f, err := in.File(s.File)
	if err != nil {
		return nil, err
	}
	one, err := socket.Of(f, s.Socket)
	if err != nil {
		return nil, err
	}
	if l, ok := one.Listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(true) // the path is this service's
	}
	return &held{asked: s.Asked, socket: one, file: f}, nil
}
