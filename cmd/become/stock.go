package main

import (
	"context"
	"log/slog"
	"net"
	"os"

	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cas"
	"github.com/universal-server/become/serve/stock/echo"
	"github.com/universal-server/become/serve/stock/timeserver"
)

// stockAddresses are the stock servers and where they listen if nobody says otherwise.
var stockAddresses = map[string][]string{
	"echo": {"127.0.0.1:15000"},
	"time": {"udp://127.0.0.1:15000", "udp://127.0.0.1:16000", "udp://127.0.0.1:17000"},
	"cas":  {"127.0.0.1:22222"},
}

func isStock(name string) bool { return stockAddresses[name] != nil }

// stockServices is what this program serves when a keeper starts it.
func stockServices() []service.Service {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return []service.Service{
		{Name: "echo", Serve: service.Each(func(ctx context.Context, l net.Listener) error {
			return echo.Serve(ctx, l, &echo.Options{Logger: logger})
		})},
		cas.Service(logger, os.Stdout),
		{Name: "time", Kind: service.Packets, Serve: func(ctx context.Context, s service.Sockets) error {
			packets, err := s.Packets()
			if err != nil {
				return err
			}
			return timeserver.Serve(ctx, packets, nil)
		}},
	}
}
