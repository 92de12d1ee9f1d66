package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/notify"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/stock"
	"github.com/universal-server/become/serve/stock/cas"
)

func (a *app) serveCommand() *cobra.Command {
	var flags specFlags
	var watch bool
	cmd := &cobra.Command{
		Use: "serve PATH", Short: "Serve on sockets, in this terminal", Args: wants(1, 1, "one PATH, or the name of a stock server"),
		ValidArgsFunction: completePath,
		Long: `Serve on sockets that are opened once and kept: processes share them, die and are replaced, and change
their version, while no connection fails. No fleet is needed. The processes share the processors too; GOMAXPROCS in
the environment gives each so many.

PATH is a Go package, or an executable built from one, whose main function is become.Serve. The stock servers
are in this binary: static, proxy, inetd, cgi, cas, echo and time; each has its own --help.

SIGHUP builds PATH again and swaps: new processes start, both versions accept, the old ones end their
connections and leave. A version that does not become ready changes nothing. With --watch that is done whenever
the program's Go files change, those it embeds, or those it imports from its own modules. Ctrl-C drains; a second one ends it now.

An address that begins with tls:// speaks TLS, as HTTP/2 if the service is HTTP; if none does, all of TCP does when there is a
certificate. Its files are read again at each swap. --tls-self makes one for this machine, which browsers warn about.

Started by systemd it takes its sockets (LISTEN_FDS) if there is no --listen, and tells how it is (Type=notify-reload).

SIGUSR2 replaces this command itself by the version that is installed now: same process, and its processes serve on.

` + limitHelp,
		Example: `  become serve ./examples/hello --listen :8080 --procs 4
  become serve ./examples/hello --watch
  become serve ./examples/hello --listen :8080 --listen tls://:8443 --tls-self
  become serve static ./site
  become serve proxy 127.0.0.1:9001 127.0.0.1:9002
  become serve inetd -- /bin/cat
  become serve cgi ./hello.py
  become serve time --listen udp://127.0.0.1:15000
  become serve ./examples/hello --memory 256MB --max-files 1000 --read-only /srv/pages --connect-port none`,
	}
	flags.add(cmd.Flags())
	cmd.Flags().BoolVar(&watch, "watch", false, "build and swap whenever the program's files change")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := flags.read(cmd)
		if err != nil {
			return err
		}
		if spec.Log.Level == "" { // as a program alone: here nobody looks for it later
			spec.Log.Level = slogs.LevelName(slogs.LevelWarning)
		}
		err = a.serve(cmd.Context(), serving{what: args[0], spec: spec, listens: cmd.Flags().Changed("listen"), watch: watch})
		return likeStock(cmd, args[0], err)
	}
	cmd.AddCommand(stockCommands("become serve", nil, func(cmd *cobra.Command, s stock.Server, read specReader) error {
		spec, err := read(nil)
		if err != nil {
			return err
		}
		if err := s.Check(spec.Settings); err != nil {
			return err
		}
		return a.serve(cmd.Context(), serving{what: s.Name, spec: spec, listens: cmd.Flags().Changed("listen")})
	})...)
	return cmd
}

// serving is what the command line says.
type serving struct {
	what    string
	spec    master.Spec
	listens bool // it says where
	watch   bool
	copies  *copies
}

func (a *app) serve(ctx context.Context, o serving) error {
	o.spec.Log.PID = true         // nobody else says it
	manager, err := notify.Take() // before anything is started that could inherit it
	if err != nil {
		return err
	}
	f := &foreground{app: a, serving: o, manager: manager, requests: newRequests(), teller: teller{app: a}}
	defer f.requests.stop()
	defer func() { os.RemoveAll(f.dir) }()
	adopted, err := f.adopt(ctx)
	if !adopted && err == nil {
		err = f.begin(ctx)
	}
	if err != nil {
		return a.why(ctx, err)
	}
	defer f.watcher.stop()
	f.signals = a.takeSignals()
	if adopted {
		f.tellReplaced()
	} else {
		f.tellServing()
	}
	f.untilStopped(ctx)
	farewell := ""
	if o.what == cas.Name && !a.json {
		farewell = "Exiting\n" // what the lecture's server says
	}
	return a.stopServing(f.master, f.signals, farewell)
}

// endWithin is how long the second signal waits for processes to be gone. They are killed; but what they have
// printed may be in the way, when nobody reads it.
const endWithin = 2 * time.Second

// stopServing drains.
func (a *app) stopServing(m *master.Master, signals <-chan os.Signal, farewell string) error {
	now, end := context.WithCancel(context.Background())
	defer end()
	closed := make(chan error, 1)
	go func() {
		io.WriteString(a.out, farewell)
		closed <- m.Close(now)
	}()
	patience := time.After(200 * time.Millisecond)
	var late <-chan time.Time
	for {
		select {
		case err := <-closed:
			if now.Err() != nil {
				return exitError(exitInterrupted)
			}
			return err
		case <-patience: // beside: who does not read it must not keep the next signal from being heard
			go fmt.Fprintln(a.err, "become: waiting for open connections; Ctrl-C again ends it now")
		case <-signals:
			if end(); late == nil {
				late = time.After(endWithin)
			}
		case <-late:
			return exitError(exitInterrupted)
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

// Rest is the unfinished line, for the next program.
func (l *lines) Rest() []byte {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.rest
}

func (l *lines) Close() error {
	if len(l.rest) > 0 {
		l.Write([]byte{'\n'})
	}
	return nil
}
