//go:build linux || darwin

package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

func TestMain(m *testing.M) {
	if service.Kept() {
		time.AfterFunc(time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
		if err := service.RunKept(context.Background(), childServices(), nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childServices are what the test binary serves as a keeper's child.
func childServices() []service.Service {
	word := "hello"
	return []service.Service{
		{
			Name: "web", Kind: service.Requests,
			Configure: func(data json.RawMessage) error { return json.Unmarshal(data, &word) },
			Serve: service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, word)
			}), service.HTTPOptions{Grace: 2 * time.Second}),
		},
		{Name: "processors", Kind: service.Connections, Serve: service.Conn(func(_ context.Context, c net.Conn) error {
			_, err := fmt.Fprintln(c, runtime.GOMAXPROCS(0))
			return err
		}, nil)},
		{
			Name: "slow", Kind: service.Connections, Reconfigure: waitFor,
			Serve: service.Conn(func(_ context.Context, c net.Conn) error {
				_, err := fmt.Fprintln(c, runtime.GOMAXPROCS(0))
				return err
			}, nil),
		},
		{Name: "lines", Kind: service.Connections, Serve: service.Conn(lines, nil)},
		{
			Name: "unready", Serve: service.Conn(lines, nil),
			Ready: func(context.Context) error { return errors.New("the database is away") },
		},
	}
}

// env is a child's: the race detector would keep it for a second after its end.
var env = []string{"GORACE=atexit_sleep_ms=0"}

func listen(t *testing.T) (*socket.Socket, *os.File) {
	t.Helper()
	s, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); f.Close() })
	return s, f
}

// child is a kept process whose keeper is the test.
type child struct {
	t    *testing.T
	conn *line.Conn
	proc *process.Process
	s    *socket.Socket
}

func startChild(t *testing.T, name string) *child {
	return startChildAs(t, wire.Start{Service: name})
}

func startChildAs(t *testing.T, as wire.Start) *child {
	t.Helper()
	s, f := listen(t)
	p, err := process.Start(t.Context(), process.Spec{
		Path: os.Args[0], Env: append([]string{wire.Env + "=3"}, env...), Control: true, ExtraFiles: []*os.File{f}, Stderr: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	c := &child{t, line.New(p.Control(), nil), p, s}
	as.Generation, as.Process, as.Sockets = 1, 1, []wire.Socket{s.Socket}
	c.say(wire.ToProcess{Start: &as})
	return c
}

func (c *child) say(m wire.ToProcess) {
	data, _ := json.Marshal(m)
	c.conn.Send(data)
}

func (c *child) hear() (m wire.FromProcess) {
	c.t.Helper()
	data, err := c.conn.Receive()
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// awaitLine connects until it reads a line.
func (c *child) awaitLine(want string) {
	c.t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		_, reader := dial(c.t, c.s.Addr)
		line, err := reader.ReadString('\n')
		if line == want+"\n" {
			return
		}
		if time.Now().After(late) {
			c.t.Fatalf("got %q, %v, want %q", line, err, want)
		}
	}
}

// A process uses its share of the processors, and follows when that changes.
func TestKept_UsesItsShare(t *testing.T) {
	all := runtime.GOMAXPROCS(0)
	c := startChildAs(t, wire.Start{Service: "processors", Share: &wire.Share{Processors: 1}})
	if c.hear().Ready == nil {
		t.Fatal("not ready")
	}
	c.awaitLine("1")
	for _, n := range []int{all, 1, all + 7} {
		c.say(wire.ToProcess{Share: &wire.Share{Processors: n}})
		c.awaitLine(strconv.Itoa(min(n, all)))
	}
	c.say(wire.ToProcess{Drain: &wire.Drain{WithinMS: 1}})
	c.code()
}

func (c *child) code() int {
	<-c.proc.Done()
	return c.proc.Exit().Code
}

func TestKept_TellsWhatItDoesAndDrains(t *testing.T) {
	c := startChild(t, "lines")
	if c.hear().Ready == nil {
		t.Fatal("not ready")
	}
	conn, reader := dial(t, c.s.Addr)
	expect(t, reader, "hello")
	if got := c.hear().Stats; got == nil || *got != (wire.Stats{Open: 1, Accepted: 1}) {
		t.Errorf("got %+v", got)
	}
	c.say(wire.ToProcess{Drain: &wire.Drain{WithinMS: 60_000}})
	io.WriteString(conn, "finish this\n")
	expect(t, reader, "finish this")
	conn.Close()
	if code := c.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// The shared socket is open: a connect waits in its queue.
	waiting, err := net.Dial("tcp", c.s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	waiting.Close()
}

func TestKept_DrainsWhenItsKeeperIsNoMore(t *testing.T) {
	c := startChild(t, "lines")
	if c.hear().Ready == nil {
		t.Fatal("not ready")
	}
	conn, reader := dial(t, c.s.Addr)
	expect(t, reader, "hello")
	c.conn.Close()
	io.WriteString(conn, "finish this\n")
	expect(t, reader, "finish this")
	conn.Close()
	if code := c.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestKept_SaysWhyItCannot(t *testing.T) {
	for name, want := range map[string]string{
		"unready": "cannot make ready unready: the database is away",
		"":        "cannot serve: say which service: web, processors, slow, lines, unready",
		"nothing": "cannot serve nothing: the program's services are web, processors, slow, lines, unready",
	} {
		c := startChild(t, name)
		m := c.hear()
		if name == "unready" && m.Stats != nil {
			m = c.hear()
		}
		if m.Failed == nil || m.Failed.Reason != want {
			t.Errorf("got %+v, want %q", m.Failed, want)
		}
		if code := c.code(); code != 1 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestKept_HasTheKeepersManners(t *testing.T) {
	c := startChildAs(t, wire.Start{Service: "lines", Manners: &manners.Manners{IdleMS: 1}})
	if c.hear().Ready == nil {
		t.Fatal("not ready")
	}
	_, reader := dial(t, c.s.Addr)
	expect(t, reader, "hello")
	if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	bad := startChildAs(t, wire.Start{Service: "lines", Manners: &manners.Manners{MaxBody: 1}})
	if m := bad.hear(); m.Failed == nil || !strings.Contains(m.Failed.Reason, "it does not serve HTTP") {
		t.Errorf("got %+v", m)
	}
}

func TestKept_LeavesTheSocketNonBlocking(t *testing.T) {
	c := startChild(t, "lines")
	if c.hear().Ready == nil {
		t.Fatal("not ready")
	}
	// A blocking Accept of this process would not end with a deadline.
	l := c.s.Listener.(*net.TCPListener)
	l.SetDeadline(time.Now().Add(-time.Second))
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if blocking(fd) {
			t.Error("it blocks")
		}
	})
}

func blocking(fd uintptr) bool {
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	return err != nil || flags&unix.O_NONBLOCK == 0
}
