package inetd

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/internal/accept"
	"github.com/universal-server/become/serve/stock/internal/program"
)

// Server starts a program for each connection. Its listeners share the limits. mu guards
// what is below it.
type Server struct {
	path  string
	args  []string
	env   []string
	o     Options
	slots chan struct{} // holds an item for each program
	rate  *pace         // or nil

	mu    sync.Mutex
	peers map[string]int // connections of each address
}

// New returns a server that starts a program with its arguments; a name without a slash is looked up in PATH. A
// nil o is the defaults. Errors: fault.NotFound and fault.Denied as the system says about the program and
// about Options.Dir, fault.Invalid.
func New(command []string, o *Options) (*Server, error) {
	if len(command) == 0 {
		return nil, fault.Text(fault.Invalid, "start programs", "", "there is no program")
	}
	path, err := program.Find(command[0])
	if err != nil {
		return nil, err
	}
	s := &Server{path: path, args: command[1:], peers: map[string]int{}}
	if o != nil {
		s.o = *o
	}
	s.o = s.o.withDefaults()
	if err := s.o.check(); err != nil {
		return nil, err
	}
	if s.env, err = program.Merge(program.Environ(), s.o.Env); err != nil {
		return nil, err
	}
	s.env = withoutOurs(s.env)
	if info, err := os.Stat(s.o.Dir); s.o.Dir != "" && (err != nil || !info.IsDir()) {
		return nil, fault.Text(fault.NotFound, "start programs in", s.o.Dir, "there is no such folder")
	}
	s.slots = make(chan struct{}, s.o.Max)
	if s.o.Rate > 0 {
		s.rate = newPace(s.o.Rate)
	}
	return s, nil
}

// Serve starts programs for connections that it accepts from ln until ctx ends; then it drains as the
// package says and returns nil. It closes ln. An error of ln ends it too, with that error, when
// all programs of ln have ended. It may be called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return accept.Serve(ctx, ln, accept.Settings{Max: s.o.Max, Drain: s.o.DrainTimeout, Patient: true, Log: s.o.Logger}, s.serve)
}

// serve serves one connection, from the limits to the log.
func (s *Server) serve(c *accept.Conn) {
	peer := addressOf(c.Conn)
	log := s.o.Logger.With("peer", peer.String())
	if !s.enter(peer.key()) {
		log.Warn("turned away: its address has as many connections as it may have", "most", s.o.PerPeer)
		return
	}
	defer s.leave(peer.key())
	cut := c.Context()
	select {
	case s.slots <- struct{}{}: // at once, but for the programs of other listeners
		defer func() { <-s.slots }()
	case <-cut.Done():
		return
	}
	if s.rate != nil && !s.rate.wait(cut) {
		return
	}
	r, err := s.start(c, peer, log)
	if err != nil {
		log.Error("cannot start the program", "err", err)
		return
	}
	log = log.With("pid", r.p.PID())
	log.Info("started")
	began := time.Now()
	if why := r.wait(cut, s.o.Within, s.o.Grace); why != "" {
		log.Warn("ending the program", "reason", why)
		if err := r.end(cut, why, s.o.Grace); err != nil {
			log.Error("the program is not gone", "err", err)
		}
	}
	r.close()
	log.Info("ended", "exit", r.p.Exit().Reason, "took", time.Since(began).Round(time.Millisecond).String())
}

// enter counts a connection of an address, unless that has too many.
func (s *Server) enter(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.PerPeer > 0 && s.peers[key] >= s.o.PerPeer {
		return false
	}
	s.peers[key]++
	return true
}

func (s *Server) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[key]--; s.peers[key] == 0 {
		delete(s.peers, key)
	}
}
