package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/internal/stocktest"
	"github.com/universal-server/become/serve/stock/proxy"
)

// backend is a server that sends its name and then back what it gets.
type backend struct {
	addr string
	stop func() error
}

func startBackend(t testing.TB, name, network, addr string) backend {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	b := backend{addr: ln.Addr().String()}
	if network == "unix" {
		b.addr = "unix:" + b.addr
	}
	b.stop = stocktest.Run(t, func(ctx context.Context) error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var conns []net.Conn
		stop := context.AfterFunc(ctx, func() {
			ln.Close()
			mu.Lock()
			defer mu.Unlock()
			for _, c := range conns {
				c.Close()
			}
		})
		defer stop()
		for {
			c, err := ln.Accept()
			if err != nil {
				wg.Wait()
				return nil
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				fmt.Fprintf(c, "%s\n", name)
				io.Copy(c, c)
				c.(interface{ CloseWrite() error }).CloseWrite()
			})
		}
	})
	return b
}

const anyPort = "127.0.0.1:0"

// freeAddr is an address at which nobody listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln := stocktest.Listen(t)
	defer ln.Close()
	return ln.Addr().String()
}

type server struct {
	addr string
	log  *stocktest.Log
	stop func() error
}

func start(t testing.TB, o proxy.Options, backends ...string) server {
	t.Helper()
	log := stocktest.NewLog(t)
	o.Logger = log.Logger()
	p, err := proxy.New(backends, &o)
	if err != nil {
		t.Fatal(err)
	}
	ln := stocktest.Listen(t)
	stop := stocktest.Run(t, func(ctx context.Context) error { return p.Serve(ctx, []net.Listener{ln}) })
	return server{ln.Addr().String(), log, stop}
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.TCPConn)
}

// name reads the backend's name.
func name(t testing.TB, c net.Conn) string {
	t.Helper()
	var got []byte
	for b := make([]byte, 1); ; {
		if _, err := c.Read(b); err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		if b[0] == '\n' {
			return string(got)
		}
		got = append(got, b[0])
	}
}

// quiet has no checks but the first.
var quiet = proxy.Options{CheckEvery: time.Hour}

func with(o proxy.Options, f func(*proxy.Options)) proxy.Options {
	f(&o)
	return o
}

func TestServe_EveryByteArrives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, b := range []backend{startBackend(t, "tcp", "tcp", anyPort), startBackend(t, "unix", "unix", path)} {
		s := start(t, quiet, b.addr)
		var wg sync.WaitGroup
		for i, size := range []int{0, 1, 5000, 1_000_000, 3_000_000} {
			want := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(i)}).Read(want)
			c := dial(t, s.addr)
			wg.Go(func() {
				c.Write(want)
				c.CloseWrite()
			})
			wg.Go(func() {
				name(t, c)
				if got, err := io.ReadAll(c); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%d bytes: got %d, %v", size, len(got), err)
				}
			})
		}
		wg.Wait()
	}
}

func TestServe_TakesTheBackendWithTheFewestConnections(t *testing.T) {
	s := start(t, quiet, startBackend(t, "a", "tcp", anyPort).addr, startBackend(t, "b", "tcp", anyPort).addr, startBackend(t, "c", "tcp", anyPort).addr)
	count := map[string]int{}
	byName := map[string][]*net.TCPConn{}
	open := func() {
		c := dial(t, s.addr)
		n := name(t, c)
		count[n]++
		byName[n] = append(byName[n], c)
	}
	for range 9 {
		open()
	}
	if count["a"] != 3 || count["b"] != 3 || count["c"] != 3 {
		t.Errorf("got %v", count)
	}
	for _, c := range byName["b"] {
		c.CloseWrite()
		io.ReadAll(c)
		c.Close()
	}
	// It is counted a moment after the client has seen the end.
	clear(count)
	for late := time.Now().Add(time.Minute); count["b"] < 3 && time.Now().Before(late); {
		open()
	}
	if count["a"]+count["c"] > 3 {
		t.Errorf("got %v after those of b had ended", count)
	}
}

func TestServe_RoundRobin(t *testing.T) {
	o := with(quiet, func(o *proxy.Options) { o.RoundRobin = true })
	s := start(t, o, startBackend(t, "a", "tcp", anyPort).addr, startBackend(t, "b", "tcp", anyPort).addr, startBackend(t, "c", "tcp", anyPort).addr)
	var got string
	for range 9 {
		c := dial(t, s.addr)
		got += name(t, c)
		if got[len(got)-1] != 'b' { // connections that stay open do not count
			c.Close()
		}
	}
	if got != "abcabcabc" {
		t.Errorf("got %s", got)
	}
}

func TestServe_UsesLiveBackendsOnly(t *testing.T) {
	dead := freeAddr(t)
	alive := startBackend(t, "alive", "tcp", anyPort)
	s := start(t, proxy.Options{CheckEvery: 10 * time.Millisecond}, dead, alive.addr)
	for range 20 {
		if got := name(t, dial(t, s.addr)); got != "alive" {
			t.Errorf("got %q", got)
		}
	}
	s.log.Await(t, `msg="backend is down" backend=`+dead, 1)
	startBackend(t, "back", "tcp", dead)
	s.log.Await(t, `msg="backend is up" backend=`+dead, 1)
	if got := name(t, dial(t, s.addr)); got != "back" { // it has no connections
		t.Errorf("got %q", got)
	}
	alive.stop()
	s.log.Await(t, `msg="backend is down" backend=`+alive.addr, 1)
	for range 20 {
		if got := name(t, dial(t, s.addr)); got != "back" {
			t.Errorf("got %q", got)
		}
	}
}

// TestServe_AFailedDialIsTriedElsewhere has no checks that could know better.
func TestServe_AFailedDialIsTriedElsewhere(t *testing.T) {
	a, b := startBackend(t, "a", "tcp", anyPort), startBackend(t, "b", "tcp", anyPort)
	s := start(t, quiet, a.addr, b.addr)
	s.log.Await(t, "backend is up", 2)
	a.stop()
	for range 4 {
		if got := name(t, dial(t, s.addr)); got != "b" {
			t.Errorf("got %q", got)
		}
	}
	s.log.Await(t, `msg="backend is down" backend=`+a.addr, 1)
}

func TestServe_WhenAllAreDownClientsWaitForAWhile(t *testing.T) {
	addr := freeAddr(t)
	s := start(t, proxy.Options{CheckEvery: 10 * time.Millisecond, WaitWithin: time.Minute}, addr)
	c := dial(t, s.addr)
	io.WriteString(c, "first of all")
	s.log.Await(t, "backend is down", 1)
	startBackend(t, "at last", "tcp", addr)
	if got := name(t, c); got != "at last" {
		t.Errorf("got %q", got)
	}
	got := make([]byte, 12)
	if _, err := io.ReadFull(c, got); string(got) != "first of all" {
		t.Errorf("got %q, %v", got, err)
	}
	s = start(t, proxy.Options{WaitWithin: 20 * time.Millisecond}, freeAddr(t))
	if got, err := io.ReadAll(dial(t, s.addr)); len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
	s.log.Await(t, "closed without a backend", 1)
	s.log.Await(t, "all backends are down", 1)
}

func TestServe_AClientThatLeavesIsNotWaitedFor(t *testing.T) {
	s := start(t, proxy.Options{WaitWithin: time.Hour, MaxConns: 1, CheckEvery: time.Hour}, freeAddr(t))
	for range 3 { // each has the only place
		c := dial(t, s.addr)
		s.log.Await(t, "backend is down", 1)
		c.SetLinger(0)
		c.Close()
	}
	s.log.Await(t, "closed without a backend", 3)
}

func TestServe_AResetIsPassedOn(t *testing.T) {
	ln := stocktest.Listen(t)
	defer ln.Close()
	s := start(t, quiet, ln.Addr().String())
	first, err := ln.Accept() // the check
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	pair := func() (c, b *net.TCPConn) {
		c = dial(t, s.addr)
		got, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got.SetDeadline(time.Now().Add(time.Minute))
		t.Cleanup(func() { got.Close() })
		io.WriteString(c, "x") // else a reset may come before the proxy knows that it is connected
		io.ReadFull(got, make([]byte, 1))
		return c, got.(*net.TCPConn)
	}
	c, b := pair()
	c.SetLinger(0)
	c.Close()
	if got, err := io.ReadAll(b); err == nil {
		t.Errorf("got %q and an ordinary end", got)
	}
	c, b = pair()
	b.SetLinger(0)
	b.Close()
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("got %q and an ordinary end", got)
	}
}

func TestServe_OnlySoManyAtOnce(t *testing.T) {
	s := start(t, with(quiet, func(o *proxy.Options) { o.MaxConns = 1 }), startBackend(t, "a", "tcp", anyPort).addr)
	a, b := dial(t, s.addr), dial(t, s.addr)
	name(t, a)
	a.Close()
	name(t, b)
}

func TestServe_EndsSilentPairs(t *testing.T) {
	s := start(t, with(quiet, func(o *proxy.Options) { o.IdleWithin = 500 * time.Millisecond }), startBackend(t, "a", "tcp", anyPort).addr)
	c := dial(t, s.addr)
	name(t, c)
	if got, err := io.ReadAll(c); len(got) != 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestServe_TellsBackendsTheirClients has backends that read the header.
func TestServe_TellsBackendsTheirClients(t *testing.T) {
	for version, headers := range map[int]struct{ check, client string }{
		1: {"PROXY UNKNOWN\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 "},
		2: {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01"},
	} {
		ln := stocktest.Listen(t)
		defer ln.Close()
		s := start(t, with(quiet, func(o *proxy.Options) { o.Header = version }), ln.Addr().String())
		b, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); string(got) != headers.check || err != nil {
			t.Errorf("a check sends %q, %v", got, err)
		}
		b.Close()
		c := dial(t, s.addr)
		io.WriteString(c, "hello")
		c.CloseWrite()
		if b, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		want := headers.client
		from, to := c.LocalAddr().(*net.TCPAddr).Port, c.RemoteAddr().(*net.TCPAddr).Port
		if version == 1 {
			want += fmt.Sprintf("%d %d\r\n", from, to)
		} else {
			want += string([]byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to)})
		}
		if got, err := io.ReadAll(b); string(got) != want+"hello" || err != nil {
			t.Errorf("a client's begins with %q, %v, want %q", got, err, want)
		}
		b.Close()
	}
}

func TestServe_Drains(t *testing.T) {
	b := startBackend(t, "a", "tcp", anyPort)
	s := start(t, with(quiet, func(o *proxy.Options) { o.DrainTimeout = time.Hour }), b.addr)
	c := dial(t, s.addr)
	name(t, c)
	done := make(chan error, 1)
	go func() { done <- s.stop() }()
	for { // until nobody listens
		late, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		late.Close()
	}
	io.WriteString(c, "still here")
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "still here" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s = start(t, with(quiet, func(o *proxy.Options) { o.DrainTimeout = time.Millisecond }), b.addr)
	c = dial(t, s.addr)
	name(t, c)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestServe_RefusesToConnectToItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, test := range []struct {
		network, listen string
		host            string
		itself          bool
	}{
		{"tcp", "127.0.0.1:0", "127.0.0.1", true},
		{"tcp", "127.0.0.1:0", "localhost", true},
		{"tcp", "127.0.0.1:0", "", true},
		{"tcp", "0.0.0.0:0", "127.0.0.1", true},
		{"tcp", "0.0.0.0:0", "127.0.0.2", true},
		{"tcp", "127.0.0.1:0", "127.0.0.2", false},
		{"tcp", "0.0.0.0:0", "192.0.2.1", false},
		{"unix", path, "", true},
	} {
		ln, err := net.Listen(test.network, test.listen)
		if err != nil {
			t.Fatal(err)
		}
		backend := "unix:" + path
		if test.network == "tcp" {
			backend = net.JoinHostPort(test.host, fmt.Sprint(ln.Addr().(*net.TCPAddr).Port))
		}
		p, err := proxy.New([]string{backend}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if !test.itself {
			cancel()
		}
		err = p.Serve(ctx, []net.Listener{ln})
		cancel()
		if (fault.KindOf(err) == fault.Invalid && err != nil) != test.itself {
			t.Errorf("%s at %s: got %v", backend, ln.Addr(), err)
		}
	}
}

func TestServe_ASocketThatIsClosedEndsIt(t *testing.T) {
	p, err := proxy.New([]string{freeAddr(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := stocktest.Listen(t), stocktest.Listen(t)
	done := make(chan error, 1)
	go func() { done <- p.Serve(context.Background(), []net.Listener{a, b}) }()
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := b.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the other one is still open: %v", err)
	}
}

func TestServe_LeaksNothing(t *testing.T) {
	b := startBackend(t, "a", "tcp", anyPort)
	s := start(t, quiet, b.addr, freeAddr(t))
	round := func(n int) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				c := dial(t, s.addr)
				name(t, c)
				switch i % 4 {
				case 0:
					c.SetLinger(0)
				case 1: // it never reads
					c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
					for garbage := make([]byte, 1<<20); ; {
						if _, err := c.Write(garbage); err != nil {
							break
						}
					}
				case 2:
					c.CloseWrite()
					io.ReadAll(c)
				}
				c.Close()
			})
		}
		wg.Wait()
	}
	goroutines, files := runtime.NumGoroutine(), stocktest.Files(t)
	round(80)
	s.stop()
	b.stop()
	for late := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines || stocktest.Files(t) > files; runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("%d goroutines run, %d before; %d descriptors are open, %d before", runtime.NumGoroutine(), goroutines, stocktest.Files(t), files)
		}
		runtime.GC() // pipes that Go keeps
	}
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	for _, backends := range [][]string{
		nil, {"nowhere"}, {"127.0.0.1:0"}, {"udp://127.0.0.1:53"}, {"tls://127.0.0.1:443"}, {"127.0.0.1:1", "127.0.0.1:1"}, {"a=127.0.0.1:1"}, {"unix:"},
	} {
		if _, err := proxy.New(backends, nil); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %v", backends, err)
		}
	}
	for _, o := range []proxy.Options{{Header: 3}, {MaxConns: -1}} {
		if _, err := proxy.New([]string{"127.0.0.1:1"}, &o); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	s := start(b, quiet, startBackend(b, "a", "tcp", anyPort).addr)
	c := dial(b, s.addr)
	name(b, c)
	buf := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(buf)
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}
