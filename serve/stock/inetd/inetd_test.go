//go:build linux || darwin

package inetd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/inetd"
	"github.com/universal-server/become/serve/stock/internal/stocktest"
)

// opaque hides from the server that its connections are the system's, as TLS does.
type opaque struct{ net.Listener }

func (o opaque) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hidden{c, c.(*net.TCPConn)}, nil
}

type hidden struct {
	net.Conn
	tcp *net.TCPConn
}

func (h hidden) CloseWrite() error { return h.tcp.CloseWrite() }

type server struct {
	addr string
	log  *stocktest.Log
	stop func() error
}

// serve starts a server of a shell script.
func serve(t testing.TB, ln net.Listener, script string, o inetd.Options) server {
	t.Helper()
	l := stocktest.NewLog(t)
	o.Logger = l.Logger()
	s, err := inetd.New([]string{"/bin/sh", "-c", script}, &o)
	if err != nil {
		t.Fatal(err)
	}
	stop := stocktest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, ln) })
	return server{ln.Addr().String(), l, stop}
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

// bothWays runs a test with the connection as the program's own, and copied.
func bothWays(t *testing.T, f func(t *testing.T, start func(script string, o inetd.Options) server)) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"own": func(l net.Listener) net.Listener { return l }, "copied": func(l net.Listener) net.Listener { return opaque{l} },
	} {
		t.Run(name, func(t *testing.T) {
			f(t, func(script string, o inetd.Options) server {
				return serve(t, wrap(stocktest.Listen(t)), script, o)
			})
		})
	}
}

func TestServe_AProgramIsTheServer(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start("exec cat", inetd.Options{})
		var wg sync.WaitGroup
		for i, size := range []int{0, 1, 100, 4096, 100_000, 1_000_000, 3_000_000} {
			c := dial(t, s.addr)
			want := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(i)}).Read(want)
			wg.Go(func() {
				// cat waits for input and must not be told to try again.
				s.log.Await(t, "started", i+1)
				c.Write(want)
				c.CloseWrite()
			})
			wg.Go(func() {
				if got, err := io.ReadAll(c); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%d bytes: got %d, %v", size, len(got), err)
				}
			})
		}
		wg.Wait()
		s.log.Await(t, `exit="exit status 0"`, 7)
	})
}

// begun has connections of which something was read already, as a router's that looked at it.
type begun struct{ net.Listener }

func (l begun) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 4)
	n, err := io.ReadFull(c, b)
	return &beginning{TCPConn: c.(*net.TCPConn), rest: b[:n]}, err
}

type beginning struct {
	*net.TCPConn
	rest []byte
}

func (c *beginning) Buffered() int { return len(c.rest) }

func (c *beginning) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return c.TCPConn.Read(b)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestServe_WhatWasReadBeforeIsNotMissed(t *testing.T) {
	s := serve(t, begun{stocktest.Listen(t)}, "exec cat", inetd.Options{})
	c := dial(t, s.addr)
	io.WriteString(c, "all of it")
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "all of it" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestServe_TheLastWordsArrive(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start("head -c 1 >/dev/null; echo enough", inetd.Options{})
		for range 20 {
			c := dial(t, s.addr)
			if _, err := c.Write(make([]byte, 100_000)); err != nil { // more than is ever read
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c); string(got) != "enough\n" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
	})
}

func TestServe_TheConnectionEndsWithTheProgram(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start("sleep 1000 & echo $!", inetd.Options{})
		got, err := io.ReadAll(dial(t, s.addr))
		if err != nil {
			t.Fatal(err)
		}
		stocktest.AwaitGone(t, strings.Fields(string(got)))
	})
}

func TestServe_TellsTheProgramWhoIsThere(t *testing.T) {
	t.Setenv("PROTO", "wrong")
	t.Setenv("TCPREMOTEHOST", "wrong")
	t.Setenv("BECOME_SERVE", "wrong")
	t.Setenv("KEPT", "kept")
	path := filepath.Join(t.TempDir(), "s")
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": path} {
		ln, err := net.Listen(network, addr)
		if err != nil {
			t.Logf("no %s: %v", network, err)
			continue
		}
		s := serve(t, ln, "env", inetd.Options{Env: []string{"MORE=1", "HOME=/nowhere"}})
		c, err := net.Dial(ln.Addr().Network(), s.addr)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		want := []string{"KEPT=kept", "MORE=1", "HOME=/nowhere"}
		if network == "unix" {
			want = append(want, "PROTO=UNIX", "UNIXLOCALPATH="+path)
			if runtime.GOOS == "linux" {
				want = append(want, fmt.Sprintf("UNIXREMOTEPID=%d", os.Getpid()), fmt.Sprintf("UNIXREMOTEEUID=%d", os.Geteuid()))
			}
		} else {
			peer, port, _ := net.SplitHostPort(c.LocalAddr().String())
			own, at, _ := net.SplitHostPort(s.addr)
			want = append(want, "PROTO=TCP", "TCPREMOTEIP="+peer, "TCPREMOTEPORT="+port, "TCPLOCALIP="+own, "TCPLOCALPORT="+at,
				"REMOTE_HOST="+peer, "REMOTE_ADDR="+peer, "REMOTE_PORT="+port)
		}
		for _, w := range want {
			if !strings.Contains("\n"+got, "\n"+w+"\n") {
				t.Errorf("%s: %s is not in %s", network, w, got)
			}
		}
		if strings.Contains(got, "wrong") {
			t.Errorf("%s: got %s", network, got)
		}
		c.Close()
	}
}

func TestServe_StandardErrorIsTheLog(t *testing.T) {
	const script = `echo one >&2; printf 'two \377' >&2; echo out`
	s := serve(t, stocktest.Listen(t), script, inetd.Options{})
	if got, err := io.ReadAll(dial(t, s.addr)); string(got) != "out\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	s.log.Await(t, "text=one", 1)
	s.log.Await(t, `text="two \xff"`, 1)
	s = serve(t, stocktest.Listen(t), script, inetd.Options{Stderr: true})
	if got, err := io.ReadAll(dial(t, s.addr)); string(got) != "one\ntwo \xffout\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// family prints its own number and that of a child, and does not want to end.
const family = `trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1000; done`

// twoNumbers reads what family prints.
func twoNumbers(t *testing.T, c net.Conn) []string {
	t.Helper()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(line)
}

func TestServe_APeerThatHangsUpEndsItsProgram(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start(family, inetd.Options{Grace: time.Millisecond})
		other := dial(t, s.addr)
		pids := twoNumbers(t, other)
		c := dial(t, s.addr)
		gone := twoNumbers(t, c)
		c.SetLinger(0)
		c.Close()
		stocktest.AwaitGone(t, gone)
		s.log.Await(t, "hung up", 1)
		for _, pid := range pids {
			if n, _ := strconv.Atoi(pid); unix.Kill(n, 0) != nil {
				t.Errorf("process %s of another connection is gone", pid)
			}
		}
		other.SetLinger(0)
		other.Close()
		stocktest.AwaitGone(t, pids)
	})
}

func TestServe_AProgramHasItsTime(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		for within := 50 * time.Millisecond; ; within *= 2 {
			// Its peer never reads.
			s := start("sleep 1000 & echo $! >&2; exec yes", inetd.Options{Within: within})
			dial(t, s.addr)
			s.log.Await(t, "its time is over", 1)
			s.log.Await(t, "msg=ended", 1)
			_, rest, begun := strings.Cut(s.log.String(), "text=")
			if !begun && within < time.Minute {
				continue // it had no time to begin: the machine is busy
			}
			stocktest.AwaitGone(t, strings.Fields(rest)[:1])
			return
		}
	})
}

func TestServe_OnlySoManyAtOnce(t *testing.T) {
	s := serve(t, stocktest.Listen(t), "exec cat", inetd.Options{Max: 1})
	a, b := dial(t, s.addr), dial(t, s.addr)
	io.WriteString(b, "second")
	b.CloseWrite()
	io.WriteString(a, "first")
	io.ReadFull(a, make([]byte, 5))
	s.log.Await(t, "started", 1)
	if n := strings.Count(s.log.String(), "started"); n != 1 {
		t.Errorf("%d programs run", n)
	}
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "second" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestServe_OnlySoManyOfOnePeer(t *testing.T) {
	s := serve(t, stocktest.Listen(t), "exec cat", inetd.Options{PerPeer: 1})
	a := dial(t, s.addr)
	s.log.Await(t, "started", 1)
	if got, _ := io.ReadAll(dial(t, s.addr)); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	s.log.Await(t, "turned away", 1)
	a.CloseWrite()
	io.ReadAll(a)
	a.Close()
	s.log.Await(t, "ended", 1)
	// The count goes down a moment after that line.
	for t.Context().Err() == nil {
		c := dial(t, s.addr)
		io.WriteString(c, "again")
		c.CloseWrite()
		if got, _ := io.ReadAll(c); string(got) == "again" {
			return
		}
	}
}

func TestServe_ListenersShareTheLimits(t *testing.T) {
	s, err := inetd.New([]string{"cat"}, &inetd.Options{Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	var conns []*net.TCPConn
	for range 2 {
		ln := stocktest.Listen(t)
		stocktest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, ln) })
		conns = append(conns, dial(t, ln.Addr().String()))
	}
	for _, c := range conns {
		io.WriteString(c, "x")
	}
	read := make(chan *net.TCPConn)
	for _, c := range conns {
		go func() {
			c.Read(make([]byte, 1))
			read <- c
		}()
	}
	first := <-read
	first.Close()
	<-read
	for _, c := range conns {
		c.Close()
	}
}

func TestServe_DrainsProgramsThatEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start("exec cat", inetd.Options{DrainTimeout: time.Hour})
		c := dial(t, s.addr)
		s.log.Await(t, "started", 1)
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
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestServe_KillsProgramsAtTheDeadline(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start(family, inetd.Options{DrainTimeout: time.Millisecond, Grace: time.Hour})
		pids := twoNumbers(t, dial(t, s.addr))
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		stocktest.AwaitGone(t, pids)
	})
}

// closing remembers the connections, to close them as a caller does whose own deadline is over.
type closing struct {
	net.Listener
	conns chan net.Conn
}

func (l closing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns <- c
	}
	return c, err
}

func TestServe_KillsAProgramWhoseConnectionTheCallerCloses(t *testing.T) {
	for _, copied := range []bool{false, true} {
		ln := stocktest.Listen(t)
		if copied {
			ln = opaque{ln}
		}
		l := closing{ln, make(chan net.Conn, 1)}
		s := serve(t, l, family, inetd.Options{DrainTimeout: time.Hour, Grace: time.Hour})
		pids := twoNumbers(t, dial(t, s.addr))
		(<-l.conns).Close()
		stocktest.AwaitGone(t, pids)
	}
}

func TestServe_AProgramThatIsGoneCostsItsConnectionOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho here\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := inetd.New([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln := stocktest.Listen(t)
	stocktest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, ln) })
	for _, there := range []bool{true, false, true} {
		want := ""
		if there {
			want = "here\n"
			os.Rename(path+".away", path)
		} else {
			os.Rename(path, path+".away")
		}
		if got, err := io.ReadAll(dial(t, ln.Addr().String())); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestServe_LeaksNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(string, inetd.Options) server) {
		s := start(`read line; echo "$line"; [ "$line" = "stay 3" ] && sleep 1000`, inetd.Options{Grace: time.Millisecond})
		round := func(n int) {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					c := dial(t, s.addr)
					fmt.Fprintf(c, "stay %d\n", i%4)
					io.ReadFull(c, make([]byte, 7))
					c.SetLinger(0)
					c.Close()
				})
			}
			wg.Wait()
		}
		round(8)
		s.log.Await(t, "msg=ended", 8)
		before := stocktest.Files(t)
		round(100)
		s.log.Await(t, "msg=ended", 108)
		s.stop()
		if now := stocktest.Files(t); now > before {
			t.Errorf("%d descriptors are open, %d before", now, before)
		}
	})
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		command []string
		o       inetd.Options
		want    fault.Kind
	}{
		{nil, inetd.Options{}, fault.Invalid},
		{[]string{"/no/such/program"}, inetd.Options{}, fault.NotFound},
		{[]string{"/"}, inetd.Options{}, fault.Invalid},
		{[]string{"cat"}, inetd.Options{Max: -1}, fault.Invalid},
		{[]string{"cat"}, inetd.Options{Env: []string{"KEY"}}, fault.Invalid},
		{[]string{"cat"}, inetd.Options{Dir: "/no/such/folder"}, fault.NotFound},
	} {
		if _, err := inetd.New(test.command, &test.o); err == nil || fault.KindOf(err) != test.want {
			t.Errorf("%v: got %v, want %s", test.command, err, test.want)
		}
	}
}
