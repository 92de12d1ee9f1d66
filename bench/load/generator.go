package load

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/universal-server/become/bench/rig"
)

// What a generator is told at its start.
const (
	addrEnv    = "BENCH_LOAD_ADDR"
	dialogEnv  = "BENCH_LOAD_DIALOG"
	clientsEnv = "BENCH_LOAD_CLIENTS"
	depthEnv   = "BENCH_LOAD_DEPTH"
)

// Spec is who makes the load, and how.
type Spec struct {
	Addr string
	// Dialog is echo, cas, redis or http.
	Dialog string
	// Clients is how many connections there are. Default 1.
	Clients int
	// Depth is how many requests a client sends before it waits for their answers. Default 1.
	Depth int
}

// Generator is a process with clients. Stop it.
type Generator struct{ *rig.Child }

// Start starts a generator. Its clients connect with the first question for a rate.
func Start(s Spec) (Generator, error) {
	c, err := rig.StartRole("the load on "+s.Addr, "load",
		addrEnv+"="+s.Addr, dialogEnv+"="+s.Dialog,
		clientsEnv+"="+strconv.Itoa(max(1, s.Clients)), depthEnv+"="+strconv.Itoa(max(1, s.Depth)))
	return Generator{c}, err
}

// Rate is a side that asks for so long and returns answers per second.
func (g Generator) Rate(d time.Duration) rig.Side {
	return func(ctx context.Context) (float64, error) {
		a, err := g.Ask(ctx, "rate", int(d.Milliseconds()))
		return a.Value, err
	}
}

// Connect is a side that connects so many more clients at once, each of which asks once, and returns the
// milliseconds until all have their answer.
func (g Generator) Connect(clients int) rig.Side {
	return func(ctx context.Context) (float64, error) {
		a, err := g.Ask(ctx, "connect", clients)
		return a.Value, err
	}
}

// Hold connects so many clients, each of which asks once and then does nothing more.
func (g Generator) Hold(ctx context.Context, clients int) error {
	_, err := g.Ask(ctx, "hold", clients)
	return err
}

// Drop closes the connections of Hold.
func (g Generator) Drop(ctx context.Context) error {
	_, err := g.Ask(ctx, "drop", 0)
	return err
}

// Roles are the processes of this package.
var Roles = rig.Roles{"load": serve}

// serve answers the questions of a generator.
func serve(ctx context.Context) error {
	clients, err := strconv.Atoi(os.Getenv(clientsEnv))
	if err != nil {
		return err
	}
	depth, err := strconv.Atoi(os.Getenv(depthEnv))
	if err != nil {
		return err
	}
	c := &crowd{addr: os.Getenv(addrEnv), dialog: os.Getenv(dialogEnv), clients: clients, depth: depth}
	defer c.close()
	return rig.Serve(ctx, os.Stdin, os.Stdout, map[string]rig.Asked{
		"rate": c.rate, "connect": c.connect, "hold": c.hold, "drop": c.drop,
	})
}
