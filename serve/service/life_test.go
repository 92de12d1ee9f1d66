package service_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// diary is what happened, in order.
type diary struct {
	mu   sync.Mutex
	what []string
}

func (d *diary) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.what = append(d.what, what)
}

func (d *diary) is(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.what, want) {
		t.Errorf("got %q, want %q", d.what, want)
	}
}

// taken is a handler that takes the connection over, greets, and echoes until it ends.
func taken(d *diary) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			d.note(err.Error())
			return
		}
		defer c.Close()
		io.WriteString(c, "hello\n")
		io.Copy(c, rw)
		d.note("closed")
	})
}

func TestRun_StartsFirstAndStopsAfterTheLastConnection(t *testing.T) {
	d := &diary{}
	r := start(t, "tcp", service.Service{
		Kind:  service.Requests,
		Start: func(context.Context) error { d.note("start"); return nil },
		Ready: func(context.Context) error { d.note("ready"); return nil },
		Serve: service.HTTP(taken(d), service.HTTPOptions{}),
		Stop: func(ctx context.Context) error {
			if until, ok := ctx.Deadline(); !ok || ctx.Err() != nil || time.Until(until) > time.Minute {
				d.note("no time to stop")
			}
			d.note("stop")
			return nil
		},
	}, time.Minute)
	c, in := dial(t, r.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if text, err := in.ReadString('\n'); err != nil || text != "hello\n" {
		t.Fatalf("got %q, %v", text, err)
	}
	r.stop()
	for _, text := range []string{"one\n", "two\n"} { // a connection that was taken over goes on
		io.WriteString(c, text)
		if got, err := in.ReadString('\n'); err != nil || got != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	d.is(t, "start", "ready")
	c.Close()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	d.is(t, "start", "ready", "closed", "stop")
}

func TestRun_ConnectionsThatWereTakenOverEndWithTheDrain(t *testing.T) {
	d := &diary{}
	r := start(t, "tcp", service.Service{
		Kind: service.Requests, Serve: service.HTTP(taken(d), service.HTTPOptions{}),
		Stop: func(context.Context) error { d.note("stop"); return errors.New("it cannot") },
	}, 10*time.Millisecond)
	c, in := dial(t, r.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v", rest, err)
	}
	err := <-r.over
	if fault.KindOf(err) != fault.Deadline || !strings.Contains(err.Error(), "cannot stop test: it cannot") {
		t.Errorf("got %v", err)
	}
}

func TestRun_ThatCannotStartDoesNotStop(t *testing.T) {
	d := &diary{}
	sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	err = service.Run(t.Context(), service.Service{
		Name: "test", Serve: service.Conn(lines, nil),
		Start: func(context.Context) error { return fault.Text(fault.Conflict, "", "", "the table is locked") },
		Ready: func(context.Context) error { d.note("ready"); return nil },
		Stop:  func(context.Context) error { d.note("stop"); return nil },
	}, []*socket.Socket{sock}, nil)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "cannot start test: the table is locked") {
		t.Errorf("got %v", err)
	}
	d.is(t)
}

// Told to stop before it has begun, a service ends at once and not when the time of the drain is over.
func TestRun_StopsThoughItHasHardlyBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		s := service.Service{Name: "test", Kind: service.Requests, Serve: service.HTTP(http.NotFoundHandler(), service.HTTPOptions{})}
		if err := service.Run(ctx, s, []*socket.Socket{sock}, &service.Options{DrainWithin: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
}
