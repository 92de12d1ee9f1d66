package master

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/router"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// Holders knows which service of a program holds which address, for the error of the next one
// that asks for it. The zero value is ready; nil knows nothing.
type Holders struct {
	mu    sync.Mutex
	names map[string]string // bound address → service
}

func (h *Holders) set(addr, name string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names == nil {
		h.names = map[string]string{}
	}
	h.names[addr] = name
}

func (h *Holders) remove(addr string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, addr)
}

// of returns who holds an address: the very same, or the same port at an address that includes
// it, or is included by it.
func (h *Holders) of(a socket.Address) string {
	if h == nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if name := h.names[bare(a).String()]; name != "" {
		return name
	}
	for held, name := range h.names {
		if other, err := socket.Parse(held); err == nil && overlap(a, other) {
			return name
		}
	}
	return ""
}

func overlap(a, b socket.Address) bool {
	if a.Network != b.Network || a.Network == "unix" {
		return false
	}
	host, port, err1 := net.SplitHostPort(a.Addr)
	other, same, err2 := net.SplitHostPort(b.Addr)
	return err1 == nil && err2 == nil && port == same && (host == other || wildcard(host) || wildcard(other) || local(host) && local(other))
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bare is an address without what does not tell sockets apart.
func bare(a socket.Address) socket.Address {
	return socket.Address{Network: a.Network, Addr: a.Addr}
}

// anyPort says that the system chooses the port: two of these are two sockets.
func anyPort(a socket.Address) bool {
	_, port, err := net.SplitHostPort(a.Addr)
	return a.Network != "unix" && err == nil && port == "0"
}

// held is an open socket of a master.
type held struct {
	asked  socket.Address // bare
	socket *socket.Socket
	file   *os.File
	router *router.Router // nil unless a version wanted one
}

func (h *held) close() error {
	if h.router != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel() // no process serves this socket
		h.router.Close(now)
	}
	return errors.Join(h.socket.Close(), h.file.Close())
}

func (h *held) bound() string {
	return socket.Address{Network: h.socket.Network, Addr: h.socket.Addr}.String()
}

// use is an open socket, as one version serves on it.
type use struct {
	*held
	as wire.Socket
}

// open returns the sockets that a spec asks for, in its order: those that are open already and
// new ones, which it also returns by themselves.
func (m *Master) open(ctx context.Context, spec Spec) (all []use, fresh []*held, err error) {
	addresses, err := spec.addresses()
	if err != nil {
		return nil, nil, err
	}
	free := append([]*held(nil), m.sockets...)
	for _, as := range addresses {
		a := socket.Address{Network: as.Network, Addr: as.Addr}
		one := take(&free, a)
		if one == nil {
			if one, err = m.openOne(ctx, a); err != nil {
				m.closeAll(fresh)
				return nil, nil, err
			}
			fresh = append(fresh, one)
		}
		as.Addr = one.socket.Addr
		all = append(all, use{one, as})
	}
	return all, fresh, nil
}

// take removes and returns the socket that was opened at the same address.
func take(free *[]*held, asked socket.Address) *held {
	for i, h := range *free {
		if h.asked == asked {
			*free = append((*free)[:i], (*free)[i+1:]...)
			return h
		}
	}
	return nil
}

func (m *Master) openOne(ctx context.Context, a socket.Address) (*held, error) {
	s, err := socket.Open(ctx, a)
	if err != nil {
		if name := m.opts.Holders.of(a); name != "" && fault.KindOf(err) == fault.Conflict {
			return nil, fault.Text(fault.Conflict, "listen at", `"`+a.Addr+`"`, "address already in use by role "+name).
				WithHint("take another port, or remove that role")
		}
		return nil, err
	}
	f, err := s.File()
	if err != nil {
		s.Close()
		return nil, err
	}
	h := &held{asked: a, socket: s, file: f}
	m.opts.Holders.set(h.bound(), m.opts.Name)
	return h, nil
}

// takeActivated makes the sockets that were open before ours, or closes them.
func (m *Master) takeActivated() (err error) {
	for _, s := range m.opts.Activated {
		var f *os.File
		if err == nil {
			f, err = s.File()
		}
		if err != nil {
			s.Close()
			continue
		}
		h := &held{asked: socket.Address{Network: s.Network, Addr: s.Addr}, socket: s, file: f}
		m.sockets = append(m.sockets, h)
		m.opts.Holders.set(h.bound(), m.opts.Name)
		m.given = append(m.given, socket.Address{Name: s.Name, Network: s.Network, Addr: s.Addr}.String())
	}
	if err != nil {
		m.closeAll(m.sockets)
	}
	return err
}

func (m *Master) closeAll(all []*held) error {
	var errs []error
	for _, h := range all {
		m.opts.Holders.remove(h.bound())
		errs = append(errs, h.close())
	}
	return errors.Join(errs...)
}
