//go:build linux || darwin

package router_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/serve/handoff"
	"github.com/universal-server/become/serve/router"
)

// seats are processes that are all in this one.
type seats struct {
	t *testing.T

	mu      sync.Mutex
	all     []handoff.Seat
	asked   int // how often
	changed chan struct{}
}

func newSeats(t *testing.T) *seats { return &seats{t: t, changed: make(chan struct{})} }

func (s *seats) Seats(network, addr string) []handoff.Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return slices.Clone(s.all)
}

func (s *seats) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *seats) set(route string, all ...*process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
	for _, p := range all {
		s.all = append(s.all, handoff.Seat{Number: p.number, Route: route, Sender: p.Sender})
	}
	s.changeLocked()
}

func (s *seats) changeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// known waits until the router knows what was set: it asks again when it has taken that over.
func (s *seats) known() {
	for range 2 {
		s.mu.Lock()
		asked := s.asked
		s.changeLocked()
		s.mu.Unlock()
		until(s.t, "the router asks", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.asked > asked
		})
	}
}

// process is one that takes connections.
type process struct {
	*handoff.Sender
	*handoff.Listener
	number int
}

func newProcess(t *testing.T, number int) *process {
	t.Helper()
	s, file, err := handoff.New()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	l, err := handoff.Inherit(fd, "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); s.Finish(time.Minute) })
	return &process{s, l, number}
}

// serve lets the processes say their number on every connection that they take, and then echo.
func serve(t *testing.T, all ...*process) {
	for _, p := range all {
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			for {
				c, err := p.Accept()
				if err != nil {
					return
				}
				stop := context.AfterFunc(ctx, func() { c.Close() })
				wg.Go(func() {
					defer stop()
					defer c.Close()
					fmt.Fprintln(c, p.number)
					io.Copy(c, c)
				})
			}
		})
		t.Cleanup(func() { p.Listener.Close(); cancel(); wg.Wait() })
	}
}

// front is a router under test.
type front struct {
	*router.Router
	t    *testing.T
	addr string
}

func newRouter(t *testing.T, s router.Seats, opts *router.Options) front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := router.New(l.(router.Listener), s, opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.Close(ctx)
		l.Close()
	})
	return front{r, t, l.Addr().String()}
}

// dial connects; the connection is closed at the test's end, before the processes.
func (f front) dial(send string) net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // a broken test must end
	if _, err := io.WriteString(c, send); err != nil {
		f.t.Fatal(err)
	}
	return c
}

// number returns who serves a connection.
func number(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	if _, err := fmt.Fscanln(c, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// echoed reads what a process sends back.
func echoed(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("got %q, %v, want %q", b, err, want)
	}
}

// until waits until f holds.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !f(); runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func socketPath(t *testing.T) string { return filepath.Join(t.TempDir(), "s") }
