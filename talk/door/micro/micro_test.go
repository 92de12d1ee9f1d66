package micro_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsmicro "github.com/nats-io/nats.go/micro"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/micro"
)

type (
	Multiply struct{ X, Y float64 }
	Divide   struct{ X, Y float64 }
	Hang     struct{}
	Panic    struct{}
	Quit     struct{}
	Long     struct{ Bytes int }
	Output   struct{ Value float64 }
)

func crunch(t *testing.T, name string) *api.API {
	t.Helper()
	var all []*api.Handler
	add := func(h *api.Handler, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	add(api.Handle(func(_ context.Context, m Multiply) (Output, error) { return Output{m.X * m.Y}, nil }, &api.HandlerOptions{Doc: "multiplies"}))
	add(api.Handle(func(_ context.Context, m Divide) (Output, error) {
		if m.Y == 0 {
			return Output{}, errors.New("nothing divides\nby zero")
		}
		return Output{m.X / m.Y}, nil
	}, nil))
	add(api.Handle(func(context.Context, Hang) (Output, error) {
		time.Sleep(time.Minute)
		return Output{}, nil
	}, &api.HandlerOptions{Timeout: time.Second}))
	add(api.Handle(func(context.Context, Panic) (Output, error) { panic("oh") }, nil))
	add(api.Handle(func(context.Context, Quit) (out Output, err error) { runtime.Goexit(); return out, err }, nil))
	add(api.Handle(func(_ context.Context, m Long) (string, error) { return strings.Repeat("x", m.Bytes), nil }, nil))
	a, err := api.New(name, all, &api.Options{Doc: "does arithmetic", Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T, b bus.Messenger, opts *micro.Options) *micro.Service {
	t.Helper()
	s, err := micro.Serve(t.Context(), b, crunch(t, "crunch"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestService_AnswersEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server mem.Server
		b := server.Connect()
		defer b.Close()
		s := serve(t, b, nil)
		for _, c := range []struct{ name, data, want, code, text string }{
			{"Multiply", `{"x":1.5,"y":2.25}`, `{"value":["crunch.Output",{"value":3.375},[]]}`, "", ""},
			{"Multiply", `{"value":{"x":1.5,"y":2.25}}`, `{"value":["crunch.Output",{"value":3.375},[]]}`, "", ""},
			{"Multiply", `x=1.5&y=2.25`, `{"value":["crunch.Output",{"value":3.375},[]]}`, "", ""},
			{"Multiply", "", `{"value":["crunch.Output",{"value":0},[]]}`, "", ""},
			{"Multiply", "z=1", `"title":"Bad Request","status":400,"detail":"z: there is no such field; there is x, y"`, "400", "z: there is no such field; there is x, y"},
			{"Multiply", "[1]", `"status":400`, "400", "must be an object"},
			{"Multiply", "{", `"status":400`, "400", "ends too early"},
			{"Multiply", "x=1e308&y=1e308", `"status":422`, "422", "no number that JSON has"},
			{"Divide", "x=1&y=0", `"status":500`, "500", "nothing divides by zero"},
			{"Panic", "", `"kind":"internal"`, "500", "the handler panicked"},
			{"Quit", "", `"kind":"internal"`, "500", "the handler ended its goroutine"},
			{"Hang", "", `"status":504`, "504", "did not answer within 1s"},
			{"Long", "bytes=2000000", `"status":500`, "500", "larger than a message may be"},
		} {
			m, err := b.Request(t.Context(), bus.Message{Subject: "crunch." + c.name, Data: []byte(c.data), Header: map[string]string{"X-Request-Id": "me"}})
			if err != nil || !strings.Contains(string(m.Data), c.want) {
				t.Errorf("%s %s: got %s, %v", c.name, c.data, m.Data, err)
			}
			if code := m.Header["Nats-Service-Error-Code"]; c.code != "" && code != c.code {
				t.Errorf("%s %s: code %s, want %s", c.name, c.data, code, c.code)
			}
			if failed := c.code != ""; failed != strings.Contains(string(m.Data), `"request_id":"me"`) || failed != (m.Header["X-Request-Id"] == "me") {
				t.Errorf("%s %s: which request it was: got %s, %v", c.name, c.data, m.Data, m.Header)
			}
			if text := m.Header["Nats-Service-Error"]; !strings.Contains(text, c.text) || (text == "") != (c.text == "") {
				t.Errorf("%s %s: error %q, want %q", c.name, c.data, text, c.text)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		_, err := b.Request(t.Context(), bus.Message{Subject: "crunch.Multiply"})
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestService_IsRefusedTheNamesOfTheFleet(t *testing.T) {
	var server mem.Server
	b := server.Connect()
	defer b.Close()
	for _, name := range []string{"become", "become_job", "_INBOX"} {
		if _, err := micro.Serve(t.Context(), b, crunch(t, name), nil); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// start starts a real server and returns how to reach it.
func start(t *testing.T) (url, ticket string) {
	t.Helper()
	k := key.New()
	server, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return server.URL(), k.Ticket(key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(time.Hour)})
}

// What a public client of the protocol sees, on a real server.
func TestService_IsANATSMicroService(t *testing.T) {
	url, ticket := start(t)
	b, err := jet.Connect(t.Context(), url, &jet.Options{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := serve(t, b, &micro.Options{ID: "one", Metadata: map[string]string{"node": "n"}})
	defer s.Close()
	nc, err := nats.Connect(url, nats.Token(ticket))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range 3 {
		if _, err := nc.Request("crunch.Divide", fmt.Appendf(nil, "x=1&y=%d", i), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	identity := natsmicro.ServiceIdentity{Name: "crunch", ID: "one", Version: "1.2.0", Metadata: map[string]string{"node": "n"}}
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.crunch", "$SRV.PING.crunch.one"} {
		var got natsmicro.Ping
		ask(t, nc, subject, &got)
		if d := cmp.Diff(natsmicro.Ping{ServiceIdentity: identity, Type: natsmicro.PingResponseType}, got); d != "" {
			t.Error(subject, d)
		}
	}
	var info natsmicro.Info
	ask(t, nc, "$SRV.INFO.crunch", &info)
	if info.Type != natsmicro.InfoResponseType || info.Description != "does arithmetic" || len(info.Endpoints) != 6 || cmp.Diff(identity, info.ServiceIdentity) != "" {
		t.Errorf("got %+v", info)
	}
	multiply := natsmicro.EndpointInfo{Name: "Multiply", Subject: "crunch.Multiply", QueueGroup: "q", Metadata: map[string]string{"doc": "multiplies"}}
	if d := cmp.Diff(multiply, info.Endpoints[3]); d != "" {
		t.Error(d)
	}
	var stats natsmicro.Stats
	ask(t, nc, "$SRV.STATS.crunch.one", &stats)
	if stats.Type != natsmicro.StatsResponseType || time.Since(stats.Started) > time.Hour || len(stats.Endpoints) != 6 {
		t.Fatalf("got %+v", stats)
	}
	divide := stats.Endpoints[0]
	if divide.Name != "Divide" || divide.NumRequests != 3 || divide.NumErrors != 1 || !strings.Contains(divide.LastError, "nothing divides") ||
		divide.ProcessingTime <= 0 || divide.AverageProcessingTime != divide.ProcessingTime/3 {
		t.Errorf("got %+v", divide)
	}
}

func ask(t *testing.T, nc *nats.Conn, subject string, v any) {
	t.Helper()
	m, err := nc.Request(subject, nil, 10*time.Second)
	if err == nil {
		err = json.Unmarshal(m.Data, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

// Processes come and go while requests flow: each is answered, and by the right one.
func TestService_LosesNothingWhenItLeaves(t *testing.T) {
	url, ticket := start(t)
	connect := func() bus.Bus {
		b, err := jet.Connect(t.Context(), url, &jet.Options{Ticket: ticket})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := connect()
	defer b.Close()
	defer serve(t, b, nil).Close()
	client := connect()
	defer client.Close()
	var over atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; !over.Load(); i++ {
				m, err := client.Request(t.Context(), bus.Message{Subject: "crunch.Multiply", Data: fmt.Appendf(nil, "x=2&y=%d", i)})
				if want := fmt.Sprintf(`{"value":["crunch.Output",{"value":%d},[]]}`, 2*i); err != nil || string(m.Data) != want {
					t.Errorf("request %d: got %s, %v", i, m.Data, err)
					return
				}
			}
		})
	}
	for range 20 {
		other := connect()
		s := serve(t, other, nil)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		other.Close()
	}
	over.Store(true)
	wg.Wait()
}

// Requests of one kind meet in their handler, though others panicked in it before.
func TestService_RequestsRunBesideOneAnother(t *testing.T) {
	const n = 100
	url, ticket := start(t)
	b, err := jet.Connect(t.Context(), url, &jet.Options{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var came atomic.Int64
	all := make(chan struct{})
	h, err := api.Handle(func(_ context.Context, m Long) (Output, error) {
		if m.Bytes < 0 {
			panic("oh")
		}
		if came.Add(1) == n {
			close(all)
		}
		<-all
		return Output{float64(m.Bytes)}, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("meet", []*api.Handler{h}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := micro.Serve(t.Context(), b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := micro.Request(t.Context(), b, "meet", "Long", []byte("bytes=-1")); fault.KindOf(err) != fault.Internal {
				t.Errorf("a panic: got %v", err)
			}
			got, err := micro.Request(t.Context(), b, "meet", "Long", fmt.Appendf(nil, "bytes=%d", i))
			if want := fmt.Sprintf(`{"value":%d}`, i); err != nil || string(got.Value) != want || got.Type != "meet.Output" {
				t.Errorf("got %s, %v, want %s", got.Value, err, want)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestService_KnowsTheRequestAsItsClientDoes(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	h, err := api.Handle(func(ctx context.Context, _ Hang) (string, error) {
		return trace.RequestID(ctx) + " " + trace.From(ctx).String(), nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("who", []*api.Handler{h}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var server mem.Server
	b := server.Connect()
	defer b.Close()
	s, err := micro.Serve(t.Context(), b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	place, _ := trace.Parse(parent, "")
	got, err := micro.Request(trace.Mark(t.Context(), "mine", place), b, "who", "Hang", nil)
	if err != nil || string(got.Value) != `"mine `+parent+`"` {
		t.Errorf("got %s, %v", got.Value, err)
	}
	got, err = micro.Request(t.Context(), b, "who", "Hang", nil)
	if text := string(got.Value); err != nil || len(text) < 18 || !strings.HasSuffix(text, ` "`) {
		t.Errorf("without: got %s, %v", got.Value, err)
	}
}
