package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/socket"
)

func (a *app) serveCommand() *cobra.Command {
	var o serving
	cmd := &cobra.Command{
		Use: "serve PATH|echo|time|cas", Short: "Serve on sockets, in this terminal", Args: wants(1, 1, "one PATH, or the name of a stock server"),
		Long: `Serve on sockets that are opened once and kept: processes share them, die and are replaced, and change
their version, while no connection fails. No fleet is needed.

PATH is a Go package, or an executable built from one, whose main function is become.Serve. The stock servers
are echo (TCP, port 15000), time (UDP, ports 15000, 16000 and 17000) and cas (the compare-and-swap register,
TCP, port 22222).

SIGHUP builds PATH again and swaps: new processes start, both versions accept, the old ones end their
connections and leave. A version that does not become ready changes nothing. Ctrl-C drains; a second one ends it now.`,
		Example: `  become serve ./examples/hello --listen :8080 --procs 4
  become serve cas
  become serve time --listen udp://127.0.0.1:15000`,
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.listen, "listen", nil, "`address`: :8080, 127.0.0.1:0, udp://host:port or unix:/path; may be repeated")
	f.IntVar(&o.procs, "procs", 2, "`processes` that share the sockets")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "`time` that open connections may go on when their process leaves")
	f.StringVar(&o.service, "service", "", "which `service`, of a program that offers several")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.procs < 1 || o.drain <= 0 {
			return usage("as in --procs 4 --drain 30s", "--procs and --drain must be above zero")
		}
		o.what = args[0]
		if !cmd.Flags().Changed("procs") && o.what == "cas" {
			o.procs = 1
		}
		if o.what == "cas" && o.procs > 1 {
			return usage("leave --procs out", "the register lives in one process: cas takes --procs 1 only")
		}
		return a.serve(cmd.Context(), o)
	}
	return cmd
}

// serving is what the command line says.
type serving struct {
	what    string
	listen  []string
	procs   int
	drain   time.Duration
	service string
}

// addresses are those given, or the stock server's own.
func (o serving) addresses() ([]socket.Address, error) {
	texts := o.listen
	if len(texts) == 0 {
		texts = stockAddresses[o.what]
	}
	if len(texts) == 0 {
		texts = []string{"127.0.0.1:8080"}
	}
	all := make([]socket.Address, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = socket.Parse(text); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *app) serve(ctx context.Context, o serving) error {
	addresses, err := o.addresses()
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "become-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	program, err := a.servingProgram(ctx, o, temp)
	if err != nil {
		return a.why(ctx, err)
	}
	sockets, shut, err := openKept(ctx, addresses)
	if err != nil {
		return err
	}
	defer shut()
	out := &prefixed{app: a}
	k, err := keeper.New(sockets, &keeper.Options{DrainWithin: o.drain, Logger: a.logger, Output: out.writers})
	if err != nil {
		return err
	}
	if err := k.Deploy(ctx, program, o.procs); err != nil {
		k.Close(ctx)
		return a.why(ctx, err)
	}
	signals := a.takeSignals()
	for _, s := range sockets {
		a.done(map[string]any{"serving": o.what, "network": s.Network, "address": s.Addr, "processes": o.procs},
			fmt.Sprintf("become: serving %s at %s://%s, processes: %d", o.what, s.Network, s.Addr, o.procs))
	}
	a.untilStopped(ctx, k, o, temp, signals)
	return a.stopServing(k, signals)
}

// untilStopped swaps at each SIGHUP, until another signal comes.
func (a *app) untilStopped(ctx context.Context, k *keeper.Keeper, o serving, temp string, signals <-chan os.Signal) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			return
		case <-hangups:
		}
		program, err := a.servingProgram(ctx, o, temp)
		if err == nil {
			err = k.Deploy(ctx, program, o.procs)
		}
		if err != nil {
			fmt.Fprintf(a.err, "become: nothing is swapped: %s\n", printable(err.Error(), true))
			continue
		}
		fmt.Fprintln(a.err, "become: swapped")
	}
}

func (a *app) stopServing(k *keeper.Keeper, signals <-chan os.Signal) error {
	now, end := context.WithCancel(context.Background())
	defer end()
	closed := make(chan error, 1)
	go func() { closed <- k.Close(now) }()
	patience := time.After(200 * time.Millisecond)
	for {
		select {
		case err := <-closed:
			if now.Err() != nil {
				return exitError(exitInterrupted)
			}
			return err
		case <-patience:
			fmt.Fprintln(a.err, "become: waiting for open connections; Ctrl-C again ends it now")
		case <-signals:
			end()
		}
	}
}

// servingProgram is what the keeper starts: a copy of the program as it is now,
// or this one as a stock server.
func (a *app) servingProgram(ctx context.Context, o serving, temp string) (keeper.Program, error) {
	p := keeper.Program{Service: o.service, Env: withoutBecome(os.Environ())}
	if _, stock := stockAddresses[o.what]; stock {
		var err error
		p.Service = o.what
		p.Path, err = os.Executable()
		return p, err
	}
	path, err := a.program(ctx, o.what)
	if err != nil {
		return p, err
	}
	digest, _, err := bundle.FileDigest(path)
	if err != nil {
		return p, err
	}
	p.Path = filepath.Join(temp, digest[:16])
	if _, err := os.Stat(p.Path); err == nil {
		return p, nil
	}
	return p, copyProgram(path, p.Path)
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// openKept opens the sockets and makes the files that processes inherit.
func openKept(ctx context.Context, addresses []socket.Address) (kept []keeper.Socket, shut func(), err error) {
	var closers []io.Closer
	shut = func() {
		for _, c := range closers {
			c.Close()
		}
	}
	for _, address := range addresses {
		s, err := socket.Open(ctx, address)
		if err != nil {
			shut()
			return nil, nil, err
		}
		closers = append(closers, s)
		f, err := s.File()
		if err != nil {
			shut()
			return nil, nil, fault.New(fault.KindOf(err), "keep socket", address.String(), err)
		}
		closers = append(closers, f)
		kept = append(kept, keeper.Socket{Socket: s.Socket, File: f})
	}
	return kept, shut, nil
}

// prefixed prints what processes print, line by line, behind their number.
type prefixed struct {
	app *app
	mu  sync.Mutex
}

func (p *prefixed) writers(id keeper.ID) (stdout, stderr io.WriteCloser) {
	mark := fmt.Sprintf("[Process-%d]\t", id.Number)
	return &lines{p: p, to: p.app.out, mark: mark}, &lines{p: p, to: p.app.err, mark: mark}
}

// lines cuts a stream into lines; a very long one is cut.
type lines struct {
	p    *prefixed
	to   io.Writer
	mark string
	rest []byte
}

const longestLine = 64 << 10

func (l *lines) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		i := strings.IndexByte(string(l.rest), '\n')
		if i < 0 && len(l.rest) < longestLine {
			return len(b), nil
		}
		if i < 0 {
			i = len(l.rest) - 1
		}
		fmt.Fprintf(l.to, "%s%s\n", l.mark, strings.TrimRight(string(l.rest[:i+1]), "\r\n"))
		l.rest = append(l.rest[:0], l.rest[i+1:]...)
	}
}

func (l *lines) Close() error {
	if len(l.rest) > 0 {
		l.Write([]byte{'\n'})
	}
	return nil
}
