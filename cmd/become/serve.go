package main

import (
	"bytes"
	"context"
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

	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/stock"
	"github.com/universal-server/become/serve/stock/cas"
)

func (a *app) serveCommand() *cobra.Command {
	var flags specFlags
	cmd := &cobra.Command{
		Use: "serve PATH", Short: "Serve on sockets, in this terminal", Args: wants(1, 1, "one PATH, or the name of a stock server"),
		Long: `Serve on sockets that are opened once and kept: processes share them, die and are replaced, and change
their version, while no connection fails. No fleet is needed. The processes share the processors too; GOMAXPROCS in
the environment gives each so many.

PATH is a Go package, or an executable built from one, whose main function is become.Serve. The stock servers
are in this binary: static, proxy, inetd, cgi, cas, echo and time; each has its own --help.

SIGHUP builds PATH again and swaps: new processes start, both versions accept, the old ones end their
connections and leave. A version that does not become ready changes nothing. Ctrl-C drains; a second one ends it now.

` + limitHelp,
		Example: `  become serve ./examples/hello --listen :8080 --procs 4
  become serve static ./site
  become serve proxy 127.0.0.1:9001 127.0.0.1:9002
  become serve inetd -- /bin/cat
  become serve cgi ./hello.py
  become serve time --listen udp://127.0.0.1:15000
  become serve ./examples/hello --memory 256MB --max-files 1000 --read-only /srv/pages --connect-port none`,
	}
	flags.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := flags.read(cmd)
		if err != nil {
			return err
		}
		return a.serve(cmd.Context(), serving{what: args[0], spec: spec})
	}
	cmd.AddCommand(stockCommands("become serve", nil, func(cmd *cobra.Command, s stock.Server, spec master.Spec) error {
		if err := s.Check(spec.Settings); err != nil {
			return err
		}
		return a.serve(cmd.Context(), serving{what: s.Name, spec: spec})
	})...)
	return cmd
}

// serving is what the command line says.
type serving struct {
	what   string
	spec   master.Spec
	copies *copies
}

func (a *app) serve(ctx context.Context, o serving) error {
	temp, err := os.MkdirTemp("", "become-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if o.what == cas.Name {
		// All processes, of all versions, share one register: in a file, so that it needs nobody who owns it.
		if o.spec.Settings, err = cas.Share(o.spec.Settings, "file:"+filepath.Join(temp, "register"), ""); err != nil {
			return err
		}
	}
	o.copies = &copies{dir: temp}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	out := &prefixed{app: a}
	m, err := master.New(&master.Options{Home: a.homeDir(), Logger: a.logger, Output: out.writers})
	if err != nil {
		return err
	}
	if err := a.swap(ctx, m, o); err != nil {
		m.Close(ctx)
		return a.why(ctx, err)
	}
	signals := a.takeSignals()
	for _, s := range m.Status().Sockets {
		fields := map[string]any{"serving": o.what, "network": s.Network, "address": s.Addr, "tls": s.TLS, "processes": o.spec.Procs}
		text := fmt.Sprintf("become: serving %s at %s, processes: %d", o.what, s, o.spec.Procs)
		if s.Route != "" {
			fields["route"], text = s.Route, text+", route: "+s.Route
		}
		a.done(fields, text)
	}
	if held := m.Status().Held; len(held) > 0 && o.spec.Confined() {
		fmt.Fprintf(a.err, "become: each process is held to %s\n", strings.Join(held, ", "))
	}
	a.tellCertificate(m.Certificate(), nil)
	a.untilStopped(ctx, m, o, hangups, signals)
	if o.what == cas.Name && !a.json {
		fmt.Fprintln(a.out, "Exiting") // what the lecture's server says
	}
	return a.stopServing(m, signals)
}

// untilStopped swaps at each SIGHUP and tells what happens meanwhile, until another signal comes.
func (a *app) untilStopped(ctx context.Context, m *master.Master, o serving, hangups, signals <-chan os.Signal) {
	teller := teller{app: a}
	for {
		changed := m.Changed()
		teller.look(m.Status())
		select {
		case <-changed:
			continue
		case <-ctx.Done():
			return
		case <-signals:
			return
		case <-hangups:
		}
		before := m.Certificate()
		err := a.swap(ctx, m, o)
		teller.swapped(m.Status(), err)
		if err != nil {
			fmt.Fprintf(a.err, "become: nothing is swapped: %s\n", printable(err.Error(), true))
			continue
		}
		fmt.Fprintln(a.err, "become: swapped")
		a.tellCertificate(m.Certificate(), before)
	}
}

// swap deploys the program as it is now.
func (a *app) swap(ctx context.Context, m *master.Master, o serving) error {
	program, err := a.servingProgram(ctx, o)
	if err != nil {
		return err
	}
	before := m.Status().Path
	err = m.Deploy(ctx, o.spec, program)
	o.copies.keep(before, program.Path, err == nil)
	return err
}

func (a *app) stopServing(m *master.Master, signals <-chan os.Signal) error {
	now, end := context.WithCancel(context.Background())
	defer end()
	closed := make(chan error, 1)
	go func() { closed <- m.Close(now) }()
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
func (a *app) servingProgram(ctx context.Context, o serving) (master.Program, error) {
	p := master.Program{Env: withoutBecome(os.Environ())}
	if isStock(o.what) {
		var err error
		p.Path, err = os.Executable()
		return p, err
	}
	path, err := a.program(ctx, o.what)
	if err != nil {
		return p, err
	}
	p.Path, err = o.copies.of(path)
	return p, err
}

// prefixed prints what processes print, line by line, behind their number.
type prefixed struct {
	app *app
	mu  sync.Mutex
	out []byte // lines being written; mu guards it
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
	rest, out := l.rest, l.p.out[:0]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 && len(rest) < longestLine {
			break
		}
		if i < 0 {
			i = len(rest) - 1
		}
		out = append(out, l.mark...)
		out = append(out, bytes.TrimRight(rest[:i+1], "\r\n")...)
		out = append(out, '\n')
		rest = rest[i+1:]
	}
	l.rest, l.p.out = append(l.rest[:0], rest...), out
	if len(out) > 0 {
		l.to.Write(out)
	}
	return len(b), nil
}

func (l *lines) Close() error {
	if len(l.rest) > 0 {
		l.Write([]byte{'\n'})
	}
	return nil
}
