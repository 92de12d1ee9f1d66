//go:build linux || darwin

package keeper_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
)

// order is what the test tells a keeper in a program of its own; a reply follows on each.
type order struct {
	// Do: deploy, configure (briefly: for a moment only), scale, pause, resume, close; status; exec: become Path, which is the same
	// program if it is empty, after killing the process Kill between two of its steps.
	Do      string
	Program settings
	Procs   int
	Path    string
	Kill    int
}

type reply struct {
	keeper.Status
	Err   string
	Kind  fault.Kind
	PID   int
	Addr  string
	Files int
	Said  []string // whole lines that processes have printed to standard error
}

// remoteOptions are those that can be told.
type remoteOptions struct {
	keeper.Options
	Output, Logger bool // in the place of what cannot
}

// estate is what a remote keeper's program leaves to the next.
type estate struct {
	Keeper *keeper.Handover
	Socket int
	Said   []string
}

// remote is a program with a keeper that does what it is told on its standard input. It ends with that.
func remote() int {
	p, err := newProgramOf()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var o order
		if err := json.Unmarshal(readLine(os.Stdin), &o); err != nil {
			return 0 // and the processes with it
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		p.reply(p.do(ctx, o))
		cancel()
	}
}

// readLine reads nothing beyond the line: that is for the next program.
func readLine(r io.Reader) (line []byte) {
	for b := make([]byte, 1); ; {
		if n, err := r.Read(b); n == 0 || err != nil || b[0] == '\n' {
			return line
		}
		line = append(line, b[0])
	}
}

type remoteProgram struct {
	*keeper.Keeper
	socket *os.File
	addr   string

	mu   sync.Mutex
	said []string
}

func newProgramOf() (*remoteProgram, error) {
	p := &remoteProgram{}
	var opts remoteOptions
	if err := json.Unmarshal([]byte(os.Args[1]), &opts); err != nil {
		return nil, err
	}
	opts.Options.Output = func(keeper.ID) (stdout, stderr io.WriteCloser) { return nil, &lineWriter{p: p} }
	in, err := reexec.Received()
	if err != nil {
		return nil, err
	}
	if in == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s := socketOf(l)
		l.Close()
		p.socket, p.addr = s.File, s.Addr
		p.Keeper, err = keeper.New([]keeper.Socket{s}, &opts.Options)
		p.reply(err)
		return p, err
	}
	var e estate
	if err := in.State(&e); err != nil {
		return nil, err
	}
	p.said = e.Said
	if p.socket, err = in.File(e.Socket); err != nil {
		return nil, err
	}
	if p.Keeper, err = keeper.Adopt(e.Keeper, in, &opts.Options); err != nil {
		return nil, err
	}
	in.Done()
	l, err := net.FileListener(p.socket)
	if err != nil {
		return nil, err
	}
	p.addr = l.Addr().String()
	l.Close()
	p.reply(nil)
	return p, nil
}

func (p *remoteProgram) do(ctx context.Context, o order) error {
	switch o.Do {
	case "configure briefly":
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		return p.Configure(ctx, o.Program.json())
	case "configure":
		return p.Configure(ctx, o.Program.json())
	case "deploy":
		return p.Deploy(ctx, programOf(o.Program), o.Procs)
	case "scale":
		return p.Scale(ctx, o.Procs)
	case "pause":
		return p.Pause(ctx)
	case "resume":
		return p.Resume(ctx)
	case "close":
		return p.Close(ctx)
	case "exec":
		return p.exec(ctx, o)
	}
	return nil
}

func (p *remoteProgram) exec(ctx context.Context, o order) error {
	var out reexec.Out
	st, err := p.Handover(ctx, &out)
	if err != nil {
		return err
	}
	defer p.TakeBack()
	if o.Kill != 0 {
		if err := syscall.Kill(o.Kill, syscall.SIGKILL); err != nil {
			return err
		}
	}
	e := estate{Keeper: st, Said: p.said}
	if e.Socket, err = out.Add(p.socket); err != nil {
		return err
	}
	if o.Path == "" {
		o.Path, _ = os.Executable()
	}
	return reexec.Exec(o.Path, os.Args, e, &out)
}

func (p *remoteProgram) reply(err error) {
	files, _ := os.ReadDir("/dev/fd")
	r := reply{PID: os.Getpid(), Addr: p.addr, Files: len(files)}
	if p.Keeper != nil {
		r.Status = p.Status()
	}
	p.mu.Lock()
	r.Said = p.said
	p.mu.Unlock()
	if err != nil {
		r.Err, r.Kind = err.Error(), fault.KindOf(err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		data = fmt.Append(nil, err)
	}
	os.Stdout.Write(append(data, '\n'))
}

// lineWriter keeps whole lines, and holds an unfinished one back.
type lineWriter struct {
	p    *remoteProgram
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		w.p.mu.Lock()
		w.p.said = append(w.p.said, string(line))
		w.p.mu.Unlock()
		w.rest = rest
	}
}

func (w *lineWriter) Rest() []byte { return w.rest }

func (w *lineWriter) Close() error { return nil }

// far is a remote keeper, seen from the test.
type far struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	reply
}

func newFar(t *testing.T, opts keeper.Options) *far {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(remoteOptions{Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, cmd: exec.Command(exe, string(data))}
	f.cmd.Env = append(os.Environ(), roleEnv+"=remote", "GORACE=atexit_sleep_ms=0")
	f.cmd.Stderr = os.Stderr
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.out = bufio.NewReader(stdout)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.cmd.Process.Kill(); f.cmd.Wait() })
	f.hear()
	return f
}

func (f *far) hear() {
	f.t.Helper()
	data, err := f.out.ReadBytes('\n')
	if err != nil {
		f.t.Fatalf("the keeper's program has ended: %v", err)
	}
	f.reply = reply{}
	if err := json.Unmarshal(data, &f.reply); err != nil {
		f.t.Fatalf("%s: %v", data, err)
	}
}

// try does something that may fail.
func (f *far) try(o order) {
	f.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.in.Write(append(data, '\n')); err != nil {
		f.t.Fatal(err)
	}
	f.hear()
}

func (f *far) do(o order) {
	f.t.Helper()
	if f.try(o); f.Err != "" {
		f.t.Fatalf("%+v: %s", o, f.Err)
	}
}

// await asks for the status until it is as wanted.
func (f *far) await(what string, ok func() bool) {
	f.t.Helper()
	for ctx := ctxOf(f.t); ; {
		if f.do(order{Do: "status"}); ok() {
			return
		}
		if ctx.Err() != nil {
			f.t.Fatalf("never happened: %s: %+v", what, f.reply)
		}
	}
}

// settled waits until n processes serve and nothing else is there.
func (f *far) settled(generation uint64, n int) {
	f.t.Helper()
	f.await(fmt.Sprintf("%d processes of generation %d", n, generation), func() bool {
		return len(f.Processes) == n && ready(f.Status, generation) == n
	})
}

func (f *far) pids() string {
	var all []string
	for _, p := range f.Processes {
		all = append(all, fmt.Sprint(p.PID))
	}
	return strings.Join(all, " ")
}
