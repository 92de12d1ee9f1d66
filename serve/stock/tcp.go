package stock

import (
	"context"
	"time"

	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/inetd"
	"github.com/universal-server/become/serve/stock/proxy"
)

// drainedByService is the deadline of draining in a process whose service has one of its own, which
// closes the connections.
const drainedByService = 24 * time.Hour

// Inetd are the settings of inetd.
type Inetd struct {
	Command []string      `arg:"COMMAND" required:"true" minLength:"1" doc:"the program and its arguments"`
	Dir     string        `doc:"the programs' working folder"`
	Env     []string      `doc:"a variable for the programs, KEY=VALUE"`
	Stderr  bool          `doc:"send what programs print on standard error to the peer too, not to the log"`
	Max     int           `default:"100" minimum:"1" maximum:"100000" doc:"how many programs run at once; further peers wait"`
	PerPeer int           `minimum:"0" maximum:"100000" doc:"how many of these one address may have (default any number)"`
	Rate    int           `minimum:"0" maximum:"100000" doc:"how many programs are started in a second (default any number)"`
	Within  time.Duration `doc:"how long a connection may last (default for ever)"`
	Grace   time.Duration `some:"true" default:"2s" doc:"what a program has between SIGTERM and SIGKILL"`
}

func (s *Inetd) open(env Env) (*inetd.Server, error) {
	return inetd.New(s.Command, &inetd.Options{
		Dir: s.Dir, Env: s.Env, Stderr: s.Stderr, Max: s.Max, PerPeer: s.PerPeer, Rate: s.Rate, Within: s.Within, Grace: s.Grace,
		DrainTimeout: drainedByService, Logger: env.Logger,
	})
}

func inetdServer() Server {
	return definition[Inetd]{
		Server: Server{
			Name: "inetd", Short: "A program for each connection, on its standard input and output", Args: "[--] PROGRAM [ARGUMENT...]",
			Listen: []string{"127.0.0.1:7000"}, Procs: 1,
			Long: `The super-server: PROGRAM reads what the peer sends and what it prints goes there. Its environment says who the
peer is, as with tcpserver and xinetd (TCPREMOTEIP, REMOTE_HOST). What it says on standard error is logged. Behind
-- every word is the program's.`,
			Example: `  become serve inetd -- /bin/cat
  become serve inetd --listen :7 --max 20 --within 5m -- grep --line-buffered become`,
		},
		kind:      service.Connections,
		arguments: func(s *Inetd, args []string) error { s.Command = args; return need(args, "PROGRAM") },
		local: func(s *Inetd, abs func(string) string) {
			if s.Dir = abs(s.Dir); len(s.Command) > 0 && hasSlash(s.Command[0]) {
				s.Command[0] = abs(s.Command[0])
			}
		},
		valid: func(s *Inetd) error { return validEnv(s.Env) },
		try:   func(s *Inetd) error { _, err := s.open(Env{}); return err },
		serve: func(ctx context.Context, sockets service.Sockets, s *Inetd, env Env) error {
			server, err := s.open(env)
			if err != nil {
				return err
			}
			return service.Each(server.Serve)(ctx, sockets)
		},
	}.server()
}

// Proxy are the settings of proxy.
type Proxy struct {
	Backends   []string      `arg:"BACKEND" required:"true" minLength:"1" doc:"host:port or unix:/path"`
	RoundRobin bool          `doc:"take the live backends in turn, not the one with the fewest connections"`
	Header     int           `minimum:"0" maximum:"2" doc:"tell backends their clients by the PROXY protocol of this version, 1 or 2"`
	Dial       time.Duration `some:"true" default:"2s" doc:"how long connecting to a backend may take"`
	Wait       time.Duration `some:"true" default:"10s" doc:"how long a client waits for a live backend"`
	Check      time.Duration `some:"true" default:"2s" doc:"how often backends are connected to, to know whether they live"`
	Idle       time.Duration `default:"5m" doc:"how long nothing may be sent either way; 0s is without limit"`
}

func (s *Proxy) open(env Env) (*proxy.Proxy, error) {
	o := &proxy.Options{
		RoundRobin: s.RoundRobin, Header: s.Header, DialWithin: s.Dial, WaitWithin: s.Wait, CheckEvery: s.Check, IdleWithin: s.Idle,
		DrainTimeout: drainedByService, Logger: env.Logger,
	}
	if s.Idle == 0 {
		o.IdleWithin = -1
	}
	return proxy.New(s.Backends, o)
}

func proxyServer() Server {
	return definition[Proxy]{
		Server: Server{
			Name: "proxy", Short: "TCP connections to several backends, live ones only", Args: "BACKEND...", Listen: []string{"127.0.0.1:9000"}, Procs: 1,
			Long: `Each BACKEND is host:port or unix:/path. One that cannot be connected to gets no clients until it can; a client
whose backend fails before anything was sent gets another one.`,
			Example: `  become serve proxy 127.0.0.1:9001 127.0.0.1:9002
  become serve proxy --listen :80 --header 2 10.0.0.1:8080 10.0.0.2:8080`,
		},
		arguments: func(s *Proxy, args []string) error { s.Backends = args; return need(args, "BACKEND") },
		local: func(s *Proxy, abs func(string) string) {
			for i, b := range s.Backends {
				s.Backends[i] = localSocket(b, abs)
			}
		},
		valid: func(s *Proxy) error { _, err := s.open(Env{}); return err },
		try:   func(*Proxy) error { return nil },
		serve: func(ctx context.Context, sockets service.Sockets, s *Proxy, env Env) error {
			p, err := s.open(env)
			if err != nil {
				return err
			}
			listeners, err := sockets.Listeners()
			if err != nil {
				return err
			}
			return p.Serve(ctx, listeners)
		},
	}.server()
}
