package stock

import (
	"context"
	"encoding/json"
	"math"
	"net"

	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cas"
	"github.com/universal-server/become/serve/stock/echo"
	"github.com/universal-server/become/serve/stock/timeserver"
)

// none are the settings of servers that have none.
type none struct{}

func echoServer() Server {
	return definition[none]{
		Server: Server{
			Name: "echo", Short: "What a peer sends goes back to it (TCP)", Listen: []string{"127.0.0.1:15000"}, Procs: 2,
			Example: `  become serve echo
  become serve echo --listen :7 --max-conns 1000`,
		},
		kind:    service.Connections,
		manners: manners.Manners{MaxConns: echo.MaxConns},
		try:     func(*none) error { return nil },
		serve: func(ctx context.Context, sockets service.Sockets, _ *none, env Env) error {
			return service.Each(func(ctx context.Context, l net.Listener) error {
				return echo.Serve(ctx, l, &echo.Options{Logger: env.Logger, MaxConns: math.MaxInt32}) // manners bound them
			})(ctx, sockets)
		},
	}.server()
}

func timeServer() Server {
	return definition[none]{
		Server: Server{
			Name: "time", Short: "The local time for every datagram (UDP)", Procs: 2,
			Listen: []string{"udp://127.0.0.1:15000", "udp://127.0.0.1:16000", "udp://127.0.0.1:17000"},
			Example: `  become serve time
  become serve time --listen udp://127.0.0.1:15000`,
		},
		kind: service.Packets,
		try:  func(*none) error { return nil },
		serve: func(ctx context.Context, sockets service.Sockets, _ *none, env Env) error {
			packets, err := sockets.Packets()
			if err != nil {
				return err
			}
			return timeserver.Serve(ctx, packets, &timeserver.Options{Logger: env.Logger})
		},
	}.server()
}

// casServer has settings of its own making.
func casServer() Server {
	check := func(data json.RawMessage) error {
		_, err := cas.ReadSettings(data)
		return err
	}
	return Server{
		Name: cas.Name, Short: "The compare-and-swap register (TCP, a line each)", Listen: []string{"127.0.0.1:22222"}, Procs: 1,
		Long: `--settings, with their defaults; 0s is without limit:
  {"max_line": 65536, "max_conns": 10000, "line_timeout": "30s", "idle_timeout": "5m", "write_timeout": "30s",
   "chatter": false, "register": "file:/path"}
chatter prints each connection and each line. The register is shared by all processes; it is gone when the command ends,
unless register names a file that keeps it, and that other commands on this machine may share.`,
		Example: `  become serve cas
  become serve cas --settings '{"chatter":true}'`,
		settings: func(w Words) (json.RawMessage, error) {
			if len(w.Args) > 0 {
				return nil, tooMuch(w.Args[0])
			}
			return w.Settings, check(w.Settings)
		},
		check:   check,
		service: func(env Env) service.Service { return cas.Service(env.Logger, env.Out) },
	}
}
