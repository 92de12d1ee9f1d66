package service

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// run is one service being served. mu guards what is below it.
type run struct {
	service Service
	opts    Options
	own     []*socket.Socket
	passed  chan struct{} // closed when the probe has passed
	manners manners.Manners
	self    slogs.Object  // in the log
	slots   chan struct{} // holds an item for each open connection; nil: any number
	rate    *rate.Limiter // of accepting; nil: any
	leaving chan struct{} // closed when the drain begins
	gone    chan struct{} // closed when the service has returned, and takes nothing any more
	started chan bool     // holds whether the service has started, once it knows
	wg      sync.WaitGroup

	mu       sync.Mutex
	waiting  map[any]bool // sockets at which the service has not waited yet
	doors    []io.Closer  // to be closed when the drain begins
	conns    map[io.Closer]struct{}
	accepted uint64
	draining bool
	begun    time.Time     // the drain
	emptied  chan struct{} // holds an item when the last connection was closed
	changed  chan struct{} // holds an item when the stats have changed
}

func newRun(s Service, sockets []*socket.Socket, o Options) *run {
	r := &run{
		service: s, opts: o, own: sockets,
		passed: make(chan struct{}), leaving: make(chan struct{}), gone: make(chan struct{}), emptied: make(chan struct{}, 1),
		changed: make(chan struct{}, 1), started: make(chan bool, 1), waiting: map[any]bool{}, conns: map[io.Closer]struct{}{},
		manners: o.Manners.Over(s.Manners), self: slogs.Object{Addr: slogs.NextAddr(), Name: s.Name},
	}
	if n := r.manners.MaxConns; n > 0 {
		r.slots = make(chan struct{}, n)
	}
	if n := r.manners.AcceptRate; n > 0 {
		r.rate = rate.NewLimiter(rate.Limit(n), r.manners.Burst())
	}
	return r
}

// sockets returns the sockets as the service gets them.
func (r *run) sockets() Sockets {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(Sockets, len(r.own))
	for i, s := range r.own {
		c := *s
		if s.Listener != nil {
			l := &listener{Listener: s.Listener, r: r}
			c.Listener = l
			if s.TLS {
				c.Listener = newSecure(l, *r.opts.Certificate)
			}
			r.waiting[l] = true
			r.doors = append(r.doors, s.Listener)
		} else {
			p := &packets{PacketConn: s.Packet, r: r}
			c.Packet = p
			r.waiting[p] = true
			r.doors = append(r.doors, p)
		}
		all[i] = &c
	}
	if r.draining { // told so before it began
		for _, d := range r.doors {
			d.Close()
		}
	}
	return all
}

// waits notes that the service waits at a socket, and says so when it does at all.
func (r *run) waits(at any) {
	r.mu.Lock()
	first := r.waiting[at]
	delete(r.waiting, at)
	all := first && len(r.waiting) == 0
	r.mu.Unlock()
	if all {
		r.milestone("serving", slog.String("at", r.places()))
		r.opts.OnReady()
	}
}

// places are where the sockets are, for people.
func (r *run) places() string {
	all := make([]string, len(r.own))
	for i, s := range r.own {
		all[i] = s.String()
	}
	return strings.Join(all, " ")
}

// add counts a connection.
func (r *run) add(c io.Closer) {
	if r.opts.Logger.Enabled(context.Background(), slogs.LevelObject) {
		r.event(connection(addressOf(c)), slogs.Created, "Created by "+slogs.Address(r.self.Addr), peerOf(c))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	r.accepted++
	r.changeLocked()
}

func (r *run) remove(c io.Closer) {
	if r.forget(c) && r.opts.Logger.Enabled(context.Background(), slogs.LevelObject) {
		r.event(connection(addressOf(c)), slogs.Destroyed, "Destroyed")
	}
}

// forget reports whether the connection was there.
func (r *run) forget(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.conns[c]; !ok {
		return false
	}
	delete(r.conns, c)
	r.changeLocked()
	if len(r.conns) == 0 {
		select {
		case r.emptied <- struct{}{}:
		default:
		}
	}
	if r.slots != nil {
		<-r.slots
	}
	return true
}

func (r *run) changeLocked() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *run) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

func (r *run) stats() wire.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return wire.Stats{Open: len(r.conns), Accepted: r.accepted}
}

func (r *run) startDrain() {
	r.mu.Lock()
	doors := r.doors
	if !r.draining {
		r.draining, r.begun = true, time.Now()
		close(r.leaving)
	}
	r.mu.Unlock()
	for _, d := range doors {
		d.Close()
	}
}

// closeAll closes what is open and says how many connections that were.
func (r *run) closeAll() int {
	r.startDrain()
	r.mu.Lock()
	all := make([]io.Closer, 0, len(r.conns))
	for c := range r.conns {
		all = append(all, c)
	}
	r.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
	for _, s := range r.own {
		s.Close()
	}
	return len(all)
}
