package become

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/universal-server/become/ground/settings"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
)

// ServiceOptions are a service's own wishes. The zero value means the defaults. Who runs the program may
// choose other limits, by flags as --max-conns, which go first.
type ServiceOptions struct {
	// Settings is a pointer to a struct that is filled before the service begins; what it
	// holds are the factory settings. See package ground/settings for what it may be made of, and where settings come
	// from when the program runs alone; a keeper passes its own. What it does not know is an error. See [LiveSettings] for
	// those that change while the service runs.
	Settings any
	// Ready returns nil when connections may come; none is taken before. Default: at once.
	Ready func(ctx context.Context) error
	// MaxConns is how many connections are open at once in one process; others wait. Default: any number.
	MaxConns int
	// AcceptRate is how many connections one process takes in a second; others wait. Default: any number. After
	// a quiet time AcceptBurst may come at once, by default as many as in a second.
	AcceptRate  float64
	AcceptBurst int
	// DrainWithin is how long open connections may go on when the service ends. A keeper's own
	// wish goes first. Default 30 s.
	DrainWithin time.Duration
	// IdleWithin is how long a connection may wait. Of HTTP: for its next request, by default 2 min. Of
	// others: the service reads or writes, and no byte moves; by default for ever. Negative means for ever.
	IdleWithin time.Duration
	// ReadWithin and WriteWithin bound a whole request and its answer; of other connections one Read and one
	// Write. Default: none.
	ReadWithin, WriteWithin time.Duration

	// The rest is for HTTP. A negative duration means none.

	// HeaderWithin bounds the reading of a request's header. Default 10 s.
	HeaderWithin time.Duration
	// MaxHeader and MaxBody are how many bytes a request's header and body may have. A longer header is answered
	// with 431, a body that says it is longer with 413; one that turns out to be ends with *http.MaxBytesError.
	// Defaults 1 MiB and none.
	MaxHeader, MaxBody int64
	// IdleGrace is how long an idle connection is kept for one more request when the
	// service ends. Default 5 s.
	IdleGrace time.Duration
}

// Server is a service of this program, made by [Service], [Conn], [Packet] or [HTTP],
// to be given to [Serve].
type Server struct {
	service  service.Service
	within   time.Duration
	settings any
	doc      string
	handler  http.Handler
}

// Handler returns what an API, or a service made by [HTTP], answers with, for tests with httptest; nil for other services, and
// for an API with a mistake in it, which Serve names. Its Start, its Ready and its limits are not part of it.
func (s *Server) Handler() http.Handler { return s.handler }

// Service is a service that accepts its connections itself. f is called once for
// each listener. When the service is to end, ctx ends and Accept returns net.ErrClosed, which f may return;
// what it accepted goes on until the drain's deadline.
func Service(name string, f func(ctx context.Context, l net.Listener) error, opts ...ServiceOptions) *Server {
	return newServer(name, service.Listeners, f == nil, opts, func(ServiceOptions) func(context.Context, service.Sockets) error {
		return service.Each(f)
	})
}

// Conn is a service that is called for each connection, in a goroutine of its own; the connection is
// closed when f returns. A panic ends that connection only. ctx ends when the service is
// to end: f may go on until the drain's deadline.
func Conn(name string, f func(ctx context.Context, c net.Conn) error, opts ...ServiceOptions) *Server {
	return newServer(name, service.Connections, f == nil, opts, func(ServiceOptions) func(context.Context, service.Sockets) error {
		return service.Conn(f, slogs.Default())
	})
}

// Packet is a service of datagrams. f is called once for each socket. When the service is to end,
// ctx ends and ReadFrom returns net.ErrClosed; answers can still be written.
func Packet(name string, f func(ctx context.Context, p net.PacketConn) error, opts ...ServiceOptions) *Server {
	return newServer(name, service.Packets, f == nil, opts, func(ServiceOptions) func(context.Context, service.Sockets) error {
		return service.EachPacket(f)
	})
}

// HTTP is a service of requests. When it is to end, requests under way are finished and each
// connection is told to close with its next answer.
func HTTP(name string, h http.Handler, opts ...ServiceOptions) *Server {
	return requests(name, h, nil, opts...)
}

// requests is HTTP with what answers too large a body, see [service.HTTPOptions].
func requests(name string, h http.Handler, tooLarge func(http.ResponseWriter, *http.Request, *http.MaxBytesError), opts ...ServiceOptions) *Server {
	s := newServer(name, service.Requests, h == nil, opts, func(o ServiceOptions) func(context.Context, service.Sockets) error {
		return service.HTTP(h, service.HTTPOptions{
			Grace: o.IdleGrace, TooLarge: tooLarge, Logger: slogs.Default(),
		})
	})
	s.handler = h
	return s
}

// SocketName is the name of the socket that the context of a [Service], [Conn] or [Packet], or of an [HTTP] request came with: admin, for
// one served with --listen :8080 --listen admin=127.0.0.1:8081. Empty if the socket has no name.
// systemd names those that it passes by FileDescriptorName=.
func SocketName(ctx context.Context) string { return service.SocketName(ctx) }

func (o ServiceOptions) manners() manners.Manners {
	return manners.Manners{
		MaxConns: o.MaxConns, AcceptRate: o.AcceptRate, AcceptBurst: o.AcceptBurst,
		IdleMS: manners.MS(o.IdleWithin), ReadMS: manners.MS(o.ReadWithin), WriteMS: manners.MS(o.WriteWithin),
		HeaderMS: manners.MS(o.HeaderWithin), MaxHeader: o.MaxHeader, MaxBody: o.MaxBody,
	}
}

func newServer(name string, kind service.Kind, missing bool, opts []ServiceOptions, serve func(ServiceOptions) func(context.Context, service.Sockets) error) *Server {
	var o ServiceOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	s := &Server{within: o.DrainWithin, settings: o.Settings, service: service.Service{Name: name, Kind: kind, Ready: o.Ready, Manners: o.manners()}}
	if !missing { // Serve says that it is
		s.service.Serve = serve(o)
	}
	if o.Settings != nil {
		s.service.Configure = func(data json.RawMessage) error { return settings.Update(o.Settings, data) }
		s.service.Reconfigure = reconfigure(o.Settings)
		s.service.Factory = func() (json.RawMessage, error) { return settings.Snapshot(o.Settings) }
	}
	return s
}

// servicesOf returns the services as package service wants them, which checks them. A nil one has no
// name there.
func servicesOf(servers []*Server) []service.Service {
	all := make([]service.Service, len(servers))
	for i, s := range servers {
		if s != nil {
			all[i] = traced(s.service)
		}
	}
	return all
}
