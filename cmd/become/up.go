package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/node"
)

// leastLog is how small a log may be. Unit: bytes.
const leastLog = 1 << 20

func (a *app) upCommand() *cobra.Command {
	var o node.Options
	var memory int64
	var logSize string
	cmd := &cobra.Command{
		Use: "up", Short: "Run a node in this terminal", Args: wants(0, 0, "no argument"),
		Long: `Run a node: it starts worker processes for whoever wants them, and keeps jobs,
names and code in its home. One line says when it is ready. It runs until Ctrl-C, which lets what
runs finish for a short while; a second Ctrl-C ends everything at once.

Without --nats the node runs the fleet's bus itself; others join it with --join URL and the same key.
It listens on this machine only, unless --listen says otherwise, for which a --key is needed.

SIGHUP replaces the node by the version that is installed now, as become upgrade does: same process; services serve on, and tasks
may go on for ten seconds before they run again in new processes.`,
		Example: `  become up
  become up --workers 4 --slots 8
  become key new fleet.key && become up --listen 0.0.0.0:4321 --key fleet.key
  become up --join tls://10.0.0.1:4321 --key fleet.key`,
	}
	f := cmd.Flags()
	f.IntVar(&o.Workers, "workers", 0, "`processes` for each bundle (default 2)")
	f.IntVar(&o.Slots, "slots", 0, "`tasks` at once in each process (default the number of CPUs)")
	f.StringVar(&o.Listen, "listen", "", "`address` of the bus (default 127.0.0.1:0, any free port)")
	f.BoolVar(&o.Durable, "durable", false, "acknowledge only what is on the disk, safe from a power cut")
	f.IntVar(&o.Replicas, "replicas", 0, "`servers` of a joined cluster that keep each record (default 1)")
	f.DurationVar(&o.Idle, "idle", 0, "keep a process without work for this `time` (default 20s)")
	f.Int64Var(&memory, "memory", 0, "`MiB` that each JavaScript process may use (default 256)")
	f.StringVar(&logSize, "log-size", "1GB", "keep so much of what processes print: a `size`; the oldest is deleted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if o.LogBytes, err = confine.ParseBytes(logSize); err != nil || o.LogBytes < leastLog {
			return usage("as in --log-size 500MB; the least is 1MB", "--log-size: %.40q is no size for a log", logSize)
		}
		if _, _, err := net.SplitHostPort(o.Listen); o.Listen != "" && err != nil {
			return usage("as in --listen 127.0.0.1:4321", "--listen %q: want host:port", o.Listen)
		}
		if o.Workers < 0 || o.Slots < 0 || o.Replicas < 0 || memory < 0 || o.Idle < 0 {
			return usage("become up --help", "a number below zero makes no sense")
		}
		o.Home, o.URL, o.Key = a.homeDir(), a.url, a.key
		if o.URL == "" {
			o.URL = os.Getenv(fleet.EnvURL)
		}
		if o.Key == "" {
			o.Key = os.Getenv(fleet.EnvKey)
		}
		if o.URL != "" && o.Listen != "" && cmd.Flags().Changed("nats") {
			a.logger.Debug("the bus is another's: --listen is for the workers' lines only")
		}
		o.Memory, o.Version, o.Logger = memory<<20, version(), a.logger
		if !a.verbose {
			o.Logger = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		}
		return a.up(cmd.Context(), o)
	}
	return cmd
}

func (a *app) up(ctx context.Context, o node.Options) error {
	manager, err := notify.Take() // before anything is started that could inherit it
	if err != nil {
		return err
	}
	start := ctx
	if a.timeout > 0 {
		var cancel context.CancelFunc
		start, cancel = context.WithTimeoutCause(ctx, a.timeout, errTimeout(a.timeout))
		defer cancel()
	}
	u := &upNode{app: a, manager: manager, requests: newRequests()}
	defer u.requests.stop()
	left, err := u.adopt(&o)
	if err != nil {
		return err
	}
	n, err := node.Start(start, o)
	if o.Received != nil {
		o.Received.Done()
	}
	if err != nil {
		return a.why(start, err)
	}
	if ctx.Err() != nil { // interrupted meanwhile
		n.Kill()
		return ctx.Err()
	}
	u.Node, u.signals = n, a.takeSignals()
	u.tellUp(o, left)
	living, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { manager.Watch(living, func() bool { n.Status(); return true }) })
	defer wg.Wait()
	defer end()
	if !left.Stop {
		if err := u.untilStopped(ctx); err != nil {
			n.Kill()
			return err
		}
	}
	return u.stop()
}

// untilStopped lets the node be replaced at request, until it is told to end. The error says that it cannot go on.
func (u *upNode) untilStopped(ctx context.Context) error {
	for {
		select {
		case <-u.Done():
			return fault.Text(fault.Lost, "run node", u.ID(), "its bus has ended by itself").WithHint("look at the log of the bus in its home, and at the disk")
		case <-ctx.Done():
			return nil
		case <-u.signals:
			return nil
		case <-u.requests.c:
			if stopped, err := u.renew(ctx, nil); stopped || err != nil {
				return err
			}
		case ask := <-u.Asks():
			if stopped, err := u.renew(ctx, &ask); stopped || err != nil {
				return err
			}
		}
	}
}

// stop ends the node, or what takes too long for whoever watches.
func (u *upNode) stop() error {
	a, n, signals := u.app, u.Node, u.signals
	u.manager.Stopping(0)
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop() }()
	patience := time.After(200 * time.Millisecond)
	for {
		select {
		case err := <-stopped:
			a.logger.Debug("stopped", "after", time.Since(began))
			return err
		case <-patience:
			fmt.Fprintln(a.err, "become: waiting a moment for what runs; Ctrl-C again ends it now")
		case <-signals:
			n.Kill()
			return exitError(exitInterrupted)
		}
	}
}
