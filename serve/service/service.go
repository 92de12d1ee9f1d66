package service

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// Sockets are what a service serves on.
type Sockets []*socket.Socket

// Listeners returns the listeners, or fault.Invalid when another socket is among them.
func (s Sockets) Listeners() ([]net.Listener, error) {
	var all []net.Listener
	for _, one := range s {
		if one.Listener == nil {
			return nil, fault.Text(fault.Invalid, "serve on", one.Network+" "+one.Addr, "the service needs connections: tcp or unix")
		}
		all = append(all, one.Listener)
	}
	return all, nil
}

// Packets is the same for packet sockets.
func (s Sockets) Packets() ([]net.PacketConn, error) {
	var all []net.PacketConn
	for _, one := range s {
		if one.Packet == nil {
			return nil, fault.Text(fault.Invalid, "serve on", one.Network+" "+one.Addr, "the service needs packets: udp").
				WithHint("as in --listen udp://127.0.0.1:8080")
		}
		all = append(all, one.Packet)
	}
	return all, nil
}

// Kind is what a service takes.
type Kind string

// The kinds of services.
const (
	Listeners   Kind = "listeners"   // it accepts its connections itself
	Connections Kind = "connections" // it is called for each
	Packets     Kind = "packets"
	Requests    Kind = "http"
)

// CheckRoute says why a service of the kind cannot have its connections routed by a policy, see package router: fault.Invalid for one of
// header fields when what comes is no HTTP. What accepts by itself may speak anything.
func (k Kind) CheckRoute(policy string) error {
	if strings.HasPrefix(policy, "header:") && (k == Connections || k == Packets) {
		return fault.Text(fault.Invalid, "route by", policy, "the service takes "+string(k)+", which have no HTTP headers").
			WithHint("route by least, ip or line, or leave it out")
	}
	return nil
}

// Service is what a process can serve as. Name and Serve are required.
type Service struct {
	Name string
	// Kind says which manners it can have. Default: Listeners.
	Kind Kind
	// Serve serves until the sockets say net.ErrClosed, which is no failure then. ctx ends at the
	// same time. See Each, Conn and HTTP for ready ones.
	Serve func(ctx context.Context, s Sockets) error
	// Start is called once, before Ready; what it starts goes on until Stop. ctx ends when the drain begins. A failure
	// ends the run.
	Start func(ctx context.Context) error
	// Stop is called once after the drain if Start did not fail. It has what is left of the drain's time, at least a second.
	Stop func(ctx context.Context) error
	// Ready returns nil when connections may come. Default: at once.
	Ready func(ctx context.Context) error
	// Join answers what comes from the bus, besides: from when the service is ready until leave ends, and returns when all is answered.
	// ctx ends when there is no more time for that. An error is logged. Nil: the service is not at the bus.
	Join func(ctx, leave context.Context, b wire.Bus) error
	// Configure takes the settings, JSON, before anything else; it is not called without any.
	Configure func(json.RawMessage) error
	// Factory returns the settings that it has without Configure, JSON, for who describes it. Nil: it has none, or does not say.
	Factory func() (json.RawMessage, error)
	// Reconfigure takes other settings while the service serves: all of them, JSON, empty for its defaults. After an error those of before hold.
	// It is called when the service is ready, and not twice at a time; ctx ends when the drain begins. Nil: other settings need another process.
	Reconfigure func(ctx context.Context, settings json.RawMessage) error
	// Manners are the program's wishes.
	Manners manners.Manners
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

func (s Service) check() error {
	switch {
	case !goodName.MatchString(s.Name):
		return fault.Text(fault.Invalid, "serve", "", "a service's name is letters, digits, '_' and '-'")
	case s.Serve == nil:
		return fault.Text(fault.Invalid, "serve", s.Name, "the service has no function")
	}
	return s.checkManners(s.Manners)
}

// checkManners refuses limits that would be ignored.
func (s Service) checkManners(m manners.Manners) error {
	web := manners.Manners{HeaderMS: m.HeaderMS, MaxHeader: m.MaxHeader, MaxBody: m.MaxBody}
	text := ""
	switch {
	case s.Kind == Packets && m != manners.Manners{}:
		text = "it serves packets: limits of connections mean nothing to it"
	case s.Kind != Requests && web != manners.Manners{}:
		text = "it does not serve HTTP: limits of headers and bodies mean nothing to it"
	default:
		if err := m.Check(); err != nil {
			return fault.New(fault.Invalid, "serve", s.Name, err)
		}
		return nil
	}
	return fault.Text(fault.Invalid, "limit", s.Name, text)
}

func (s Service) configure(settings json.RawMessage) error {
	if len(settings) == 0 {
		return nil
	}
	if s.Configure == nil {
		return fault.Text(fault.Invalid, "configure", s.Name, "the service has no settings")
	}
	if err := s.Configure(settings); err != nil {
		return fault.New(fault.Invalid, "configure", s.Name, err)
	}
	return nil
}

// Options of a run. Nil and zero mean the defaults.
type Options struct {
	// Settings is the service's settings as JSON. A keeper's come first.
	Settings json.RawMessage
	// Manners go before those of the service; a keeper's before both.
	Manners manners.Manners
	// Bus is where the service is reached besides. A keeper's comes first. Nil: nowhere.
	Bus *wire.Bus
	// Certificate is what sockets with TLS show. A keeper's comes first.
	Certificate *tls.Certificate
	// DrainWithin is how long open connections may go on when nobody says otherwise. Default 30 s.
	DrainWithin time.Duration
	// OnReady is called once when the service is ready.
	OnReady func()
	// Logger gets what happens; with events of connections and requests at slogs.LevelObject. Default: none.
	Logger *slog.Logger
	// Logs, if it is not nil, becomes what a keeper says of the process's log. See RunKept.
	Logs *slogs.Program
}

// check says why the service cannot be run so.
func (o *Options) check(s Service, sockets []*socket.Socket) error {
	for _, one := range sockets {
		if one.TLS && o.Certificate == nil {
			return fault.Text(fault.Invalid, "serve on", one.Network+" "+one.Addr, "there is no certificate")
		}
		if one.TLS && one.Listener == nil {
			return fault.Text(fault.Invalid, "serve on", one.Network+" "+one.Addr, "TLS is for connections")
		}
		if err := s.Kind.CheckRoute(one.Route); err != nil {
			return fault.New(fault.Invalid, "serve", s.Name, err)
		}
	}
	return s.checkManners(o.Manners)
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.DrainWithin <= 0 {
		d.DrainWithin = 30 * time.Second
	}
	if d.OnReady == nil {
		d.OnReady = func() {}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// closeWithin is how long a service may take to return once all its connections were closed.
const closeWithin = time.Second

// Run serves on the sockets, which it closes, until ctx ends and the service is drained, or the service
// itself ends. nil when it drained in time. fault.Deadline when connections had to be closed.
func Run(ctx context.Context, s Service, sockets []*socket.Socket, opts *Options) error {
	o := opts.withDefaults()
	err := s.check()
	if err == nil {
		err = o.check(s, sockets)
	}
	if err == nil {
		err = s.configure(o.Settings)
	}
	r := newRun(s, sockets, o)
	if err != nil {
		r.closeAll()
		return err
	}
	return r.run(ctx, func() time.Duration { return o.DrainWithin })
}

// run serves until ctx ends, then drains for as long as within says, and stops.
func (r *run) run(ctx context.Context, within func() time.Duration) error {
	r.event(r.self, slogs.Created, "Created by "+slogs.Address(slogs.Process))
	defer r.event(r.self, slogs.Destroyed, "Destroyed")
	err := r.serve(slogs.With(ctx, r.self), within)
	if wrong := r.stop(ctx, within); wrong != nil {
		return errors.Join(err, wrong)
	}
	return err
}

func (r *run) serve(ctx context.Context, within func() time.Duration) error {
	defer r.wg.Wait()
	defer r.closeAll()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	probed := make(chan error, 1)
	go func() { probed <- r.probe(serving) }()
	joined := r.join(serving)
	defer joined.cancel()
	served := make(chan error, 1)
	go func() {
		defer close(r.gone)
		served <- r.service.Serve(serving, r.sockets())
	}()
	for probes := probed; ; {
		select {
		case err := <-probes:
			if probes = nil; err != nil && ctx.Err() == nil {
				return err
			}
			continue
		case err := <-served:
			if err == nil && r.open() == 0 || err != nil && ctx.Err() == nil {
				return r.failed(err)
			}
			served <- err // it has ended; what is open goes on
			stop()
		case <-ctx.Done():
			stop()
		}
		return r.drain(served, joined, within())
	}
}

// drain ends the accepting and waits until all is done, or the time is over.
func (r *run) drain(served chan error, joined guest, within time.Duration) error {
	r.startDrain()
	r.milestone("stopping", slog.Int("connections", r.open()))
	late := time.NewTimer(within)
	defer late.Stop()
	var err error
	for served != nil || joined.over != nil || r.open() > 0 { // the service may accept one more while it runs
		select {
		case err = <-served:
			served = nil
		case <-joined.over:
			joined.over = nil
		case <-r.emptied:
		case <-late.C:
			n := r.closeAll()
			joined.cancel()
			if served != nil {
				last := time.NewTimer(closeWithin)
				defer last.Stop()
				select {
				case <-served:
				case <-last.C:
				}
			}
			r.opts.Logger.Warn("connections had to be closed", "count", n)
			return fault.Text(fault.Deadline, "drain", r.service.Name, "connections were still open and had to be closed")
		}
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
		return r.failed(err)
	}
	return nil
}

func (r *run) failed(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.KindOf(err), "serve", r.service.Name, err)
}
