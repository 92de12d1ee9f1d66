package jet_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/key"
)

// embedded starts a server and returns how to reach it.
func embedded(t *testing.T) (url, ticket string) {
	t.Helper()
	k := key.New()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s.URL(), k.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
}

// It is not parallel: it counts goroutines.
func TestServe_TenThousandRequestsLeaveFewReaders(t *testing.T) {
	const n, most = 10_000, 4
	url, ticket := embedded(t)
	server, client := connect(t, url, &jet.Options{Ticket: ticket}), connect(t, url, &jet.Options{Ticket: ticket})
	var came atomic.Int64
	all := make(chan struct{})
	sub, err := server.Serve(t.Context(), "ask", "g", func(m bus.Message) {
		if came.Add(1) == n {
			close(all)
		}
		<-all // they are under way at the same time
		server.Publish(m.Reply, m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := readers(); got != 1 {
		t.Errorf("there are %d readers before the first request", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := client.Request(ctx, bus.Message{Subject: "ask"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for tick := time.Tick(5 * time.Millisecond); readers() > most && ctx.Err() == nil; {
		<-tick
	}
	if got := readers(); got < 1 || got > most {
		t.Errorf("%d readers are left", got)
	}
	if err := sub.Drain(); err != nil || readers() != 0 {
		t.Errorf("drained: %d readers, %v", readers(), err)
	}
}

// readers counts the goroutines that read for any subscription of Serve.
func readers() int {
	b := make([]byte, 64<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), "jet.(*served).read(")
}

// answering serves "ask" with what was asked, and returns a connection of NATS's own client beside.
func answering(t *testing.T) (bus.Bus, *nats.Conn) {
	t.Helper()
	url, ticket := embedded(t)
	b := connect(t, url, &jet.Options{Ticket: ticket})
	if _, err := b.Serve(t.Context(), "ask", "g", func(m bus.Message) { b.Publish(m.Reply, m.Data) }); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, nats.Token(ticket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return b, nc
}

// What NATS takes for its own word that nobody listens ends no reader.
func TestServe_GoesOnAfterAMessageOfNATSItself(t *testing.T) {
	t.Parallel()
	_, nc := answering(t)
	for range 10 {
		if err := nc.PublishMsg(&nats.Msg{Subject: "ask", Header: nats.Header{"Status": {"503"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := nc.Request("ask", []byte("x"), 10*time.Second); err != nil || string(m.Data) != "x" {
		t.Errorf("got %v, %v", m, err)
	}
}

// Who asks may not have the answer written where only the server may write.
func TestServe_AnswersGoToInboxesOnly(t *testing.T) {
	t.Parallel()
	b, nc := answering(t)
	written, err := nc.SubscribeSync("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("ask", "elsewhere", []byte("bad")); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Request("ask", []byte("x"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("elsewhere", []byte("last")); err != nil {
		t.Fatal(err)
	}
	if m, err := written.NextMsg(10 * time.Second); err != nil || string(m.Data) != "last" {
		t.Errorf("got %v, %v", m, err)
	}
}

// A subscription, and a call that is under way, go on when the server comes back, and end with the connection when it does not.
func TestServe_OutlivesTheServer(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, client := connect(t, p.url(), nil), connect(t, p.url(), nil)
	began, free, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	if _, err := b.Serve(t.Context(), "ask", "g", func(m bus.Message) {
		if string(m.Data) == "wait" {
			close(began)
			<-free
			close(ended)
		}
		b.Publish(m.Reply, m.Data)
	}); err != nil {
		t.Fatal(err)
	}
	if err := client.Publish("ask", []byte("wait")); err != nil {
		t.Fatal(err)
	}
	<-began
	for range 2 {
		p.kill()
		p.start(t)
		for {
			if _, err := client.Request(ctx, bus.Message{Subject: "ask"}); err == nil {
				break
			} else if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	p.kill()
	close(free)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Close did not wait for a call")
	}
}
