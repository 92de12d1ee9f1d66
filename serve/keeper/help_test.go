//go:build linux || darwin

package keeper_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/wire"
)

// roleEnv makes the test binary one of the processes below.
const roleEnv = "KEEPER_TEST_ROLE"

// A keeper that is handed over needs the main thread: see package reexec.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(reexec.Main(m.Run))
	case "serve":
		serve()
	case "keep":
		keep()
	case "remote":
		os.Exit(reexec.Main(remote))
	}
}

// settings say how a serving process behaves.
type settings struct {
	// Mode: serve; exit and panic before it is ready; hang: never ready; refuse: says why not; crash:
	// a moment after it is ready; mute: closes its line; stubborn: does not drain; halves: at its first
	// connection says half a message to the keeper and prints half a line, at the second the rest; share: says its number and its processors;
	// live: says Say, or dies when that is crash, and takes other settings while it runs, or refuses, dies or says nothing if that is their Mode;
	// deaf and mum: as live, but once they are taken no other are, with an answer and without; slow: taken when the connection to Wait ends, see gate.
	Mode string `json:"mode"`
	Say  string `json:"say,omitempty"`
	Wait string `json:"wait,omitempty"`
	// File, if set: behaves so only while it exists, and serves else.
	File string `json:"file,omitempty"`
}

// serve is a serving process. On each connection it says "GENERATION NUMBER PID", waits for a line, and
// answers "done". It exits without what os.Exit does for coverage, which prints.
func serve() {
	fd, _ := strconv.Atoi(os.Getenv(wire.Env))
	nc, err := process.Inherited(fd)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		syscall.Exit(1)
	}
	conn := line.New(nc, nil)
	say := func(m wire.FromProcess) {
		data, _ := json.Marshal(m)
		conn.Send(data)
	}
	hear := func() (m wire.ToProcess) {
		data, err := conn.Receive()
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			syscall.Exit(4) // the keeper is gone
		}
		return m
	}
	start := hear().Start
	var set settings
	json.Unmarshal(start.Settings, &set)
	if _, err := os.Stat(set.File); set.File != "" && err != nil {
		set.Mode = "serve"
	}
	switch set.Mode {
	case "exit":
		fmt.Fprintln(os.Stderr, "no configuration found")
		syscall.Exit(3)
	case "panic":
		panic("everything is lost")
	case "hang":
		select {}
	case "refuse":
		say(wire.FromProcess{Failed: &wire.Failed{Reason: "the database is away", Kind: fault.Busy.String()}})
		syscall.Exit(1)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(fd+1), "socket"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		syscall.Exit(1)
	}
	var serving sync.WaitGroup
	var open, accepted, share atomic.Int64
	var words atomic.Value
	words.Store(set.Say)
	lives := set.Mode == "live" || set.Mode == "deaf" || set.Mode == "mum" || set.Mode == "slow"
	share.Store(int64(start.Share.Processors))
	stats := func() {
		say(wire.FromProcess{Stats: &wire.Stats{Open: int(open.Load()), Accepted: uint64(accepted.Load())}})
	}
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			accepted.Add(1)
			if set.Mode == "halves" {
				half(nc, accepted.Load() == 1)
			} else {
				stats()
			}
			serving.Go(func() {
				defer func() {
					c.Close()
					open.Add(-1)
					if set.Mode != "halves" {
						stats()
					}
				}()
				if words.Load() == "crash" {
					syscall.Exit(5)
				}
				if lives {
					fmt.Fprintln(c, words.Load())
					return
				}
				if set.Mode == "share" {
					fmt.Fprintln(c, start.Process, share.Load())
					return
				}
				fmt.Fprintln(c, start.Generation, start.Process, os.Getpid())
				if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
					io.WriteString(c, "done\n")
				}
			})
		}
	})
	say(wire.FromProcess{Ready: &wire.Ready{Live: lives}})
	fmt.Println("serving")
	switch set.Mode {
	case "crash":
		fmt.Fprintln(os.Stderr, "out of luck")
		syscall.Exit(5)
	case "mute":
		nc.Close()
		select {}
	}
	has := set.Mode
	for m := hear(); m.Drain == nil; m = hear() {
		if m.Share != nil {
			share.Store(int64(m.Share.Processors))
		}
		if m.Settings != nil {
			has = take(has, *m.Settings, &words, say)
		}
	}
	if set.Mode == "stubborn" {
		select {}
	}
	listener.Close()
	serving.Wait()
	syscall.Exit(0)
}

// wait tells who listens at Wait, and waits until that ends the connection.
func (set settings) wait() {
	c, err := net.Dial("tcp", set.Wait)
	if err == nil {
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// take takes settings, or not, and returns the mode it has then.
func take(has string, o wire.Settings, words *atomic.Value, say func(wire.FromProcess)) (mode string) {
	var set settings
	json.Unmarshal(o.Value, &set)
	took := wire.Took{Number: o.Number}
	if has == "mum" {
		set.wait()
		return has
	}
	if has == "deaf" {
		set.Mode = "refuse"
	}
	switch mode = has; set.Mode {
	case "refuse":
		took.Reason = "not that"
	case "exit":
		syscall.Exit(3)
	case "hang":
		return mode
	case "slow":
		set.wait()
		fallthrough
	default:
		words.Store(set.Say)
		mode = set.Mode
	}
	say(wire.FromProcess{Took: &took})
	return mode
}

// half says a half of a message, and prints one of a line.
func half(nc net.Conn, first bool) {
	data, _ := json.Marshal(wire.FromProcess{Stats: &wire.Stats{Open: 77, Accepted: 777}})
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
	if first {
		fmt.Fprint(os.Stderr, "one half, ")
		nc.Write(frame[:9])
		return
	}
	fmt.Fprintln(os.Stderr, "the other half")
	nc.Write(frame[9:])
}

// keep is a keeper of its own: it says the pids of its processes and stays.
func keep() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		var k *keeper.Keeper
		k, err = keeper.New([]keeper.Socket{socketOf(l)}, nil)
		if err == nil {
			err = k.Deploy(context.Background(), program("serve"), 2)
		}
		for _, p := range k.Status().Processes {
			fmt.Println(p.PID)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

func program(mode string) keeper.Program { return programOf(settings{Mode: mode}) }

func programOf(set settings) keeper.Program {
	exe, _ := os.Executable()
	data, _ := json.Marshal(set)
	// The race detector would keep each one for a second after its end.
	return keeper.Program{Path: exe, Env: []string{roleEnv + "=serve", "GORACE=atexit_sleep_ms=0"}, Settings: data}
}

func socketOf(l net.Listener) keeper.Socket {
	f, _ := l.(*net.TCPListener).File()
	return keeper.Socket{Socket: wire.Socket{Network: "tcp", Addr: l.Addr().String()}, File: f}
}

// bench is a keeper under test with one socket.
type bench struct {
	*keeper.Keeper
	t    testing.TB
	addr string
}

// newBench returns a keeper that is closed at the end of the test, after which no process is left.
func newBench(t testing.TB, opts *keeper.Options) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := socketOf(l)
	l.Close() // the keeper's stays
	if opts == nil {
		opts = &keeper.Options{}
	}
	if opts.DrainWithin == 0 {
		opts.DrainWithin = 20 * time.Second
	}
	k, err := keeper.New([]keeper.Socket{s}, opts)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Keeper: k, t: t, addr: s.Addr}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // kill at once
		pids := b.pids()
		if err := k.Close(ctx); err != nil {
			t.Error(err)
		}
		s.File.Close()
		for _, pid := range pids {
			if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				t.Errorf("process %d is left", pid)
			}
		}
	})
	return b
}

func (b *bench) deploy(p keeper.Program, procs int) {
	b.t.Helper()
	if err := b.Deploy(ctxOf(b.t), p, procs); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until the status is as wanted.
func (b *bench) await(what string, f func(keeper.Status) bool) keeper.Status {
	b.t.Helper()
	for ctx := ctxOf(b.t); ; {
		changed := b.Changed()
		st := b.Status()
		if f(st) {
			return st
		}
		select {
		case <-changed:
		case <-ctx.Done():
			b.t.Fatalf("never happened: %s: %+v", what, st)
		}
	}
}

// settled waits until n processes serve and nothing else is there.
func (b *bench) settled(generation uint64, n int) keeper.Status {
	b.t.Helper()
	return b.await(fmt.Sprintf("%d processes of generation %d", n, generation), func(st keeper.Status) bool {
		return len(st.Processes) == n && ready(st, generation) == n
	})
}

// next returns a context that ends with the next change.
func (b *bench) next() context.Context {
	changed := b.Changed()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		select {
		case <-changed:
		case <-ctxOf(b.t).Done():
		}
	}()
	return ctx
}

func ready(st keeper.Status, generation uint64) (n int) {
	for _, p := range st.Processes {
		if p.Generation == generation && p.State == keeper.Ready {
			n++
		}
	}
	return n
}

func (b *bench) pids() (pids []int) {
	for _, p := range b.Status().Processes {
		if p.PID > 0 {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// ask makes one connection and returns who served it.
func (b *bench) ask() (who answer, err error) { return ask(b.addr) }

type answer struct {
	generation uint64
	number     int
	pid        int
}

// errRefused is a failed connect; no other error of ask is one.
var errRefused = errors.New("connect failed")

func ask(addr string) (who answer, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return who, fmt.Errorf("%w: %v", errRefused, err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	if who, err = hello(r); err != nil {
		return who, err
	}
	if _, err := io.WriteString(c, "go on\n"); err != nil {
		return who, err
	}
	text, err := r.ReadString('\n')
	if err == nil && text != "done\n" {
		err = fmt.Errorf("got %q", text)
	}
	return who, err
}

func hello(r *bufio.Reader) (who answer, err error) {
	text, err := r.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(text, &who.generation, &who.number, &who.pid)
	}
	return who, err
}

func (b *bench) mustAsk() answer {
	b.t.Helper()
	who, err := b.ask()
	if err != nil {
		b.t.Fatal(err)
	}
	return who
}

// load asks all the time from n goroutines until stop is called, which returns how
// often it was answered and what failed.
func (b *bench) load(n int) (stop func() (answered int64, failed []error)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var answered atomic.Int64
	var failed []error
	quit := make(chan struct{})
	for range n {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if _, err := b.ask(); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				} else {
					answered.Add(1)
				}
			}
		})
	}
	return func() (int64, []error) {
		close(quit)
		wg.Wait()
		return answered.Load(), failed
	}
}

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// sink collects what processes print.
type sink struct {
	mu     sync.Mutex
	text   strings.Builder
	closed int
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// quiet waits until there are as few goroutines as before.
func quiet(t testing.TB, before int) {
	t.Helper()
	for ctx := ctxOf(t); runtime.NumGoroutine() > before; runtime.Gosched() {
		if ctx.Err() != nil {
			buf := make([]byte, 1<<20)
			t.Fatalf("got %d goroutines, want %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// flag makes a file and returns it with the function that removes it.
func flag(t testing.TB) (path string, remove func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "flag")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() { os.Remove(path) }
}
