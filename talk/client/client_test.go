package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/client"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/door/session"
)

type (
	Add   struct{ A, B int }
	Sum   struct{ Value int }
	Hold  struct{}
	Say   struct{ Texts []string }
	Said  struct{ Text string }
	Shout struct{ Text string }
	Leave struct{}
)

// room is what the API under test does.
type room struct {
	held chan struct{}
	goOn chan struct{}
	ends chan string
	adds atomic.Int64
}

func (r *room) Add(_ context.Context, m Add) (Sum, error) {
	r.adds.Add(1)
	if m.A < 0 {
		return Sum{}, fault.Text(fault.Conflict, "add", "it", "it is negative").WithHint("be positive")
	}
	return Sum{m.A + m.B}, nil
}

func (r *room) Hold(ctx context.Context, _ Hold) (Sum, error) {
	r.held <- struct{}{}
	select {
	case <-r.goOn:
		return Sum{1}, nil
	case <-ctx.Done():
		return Sum{}, ctx.Err()
	}
}

func (r *room) Say(ctx context.Context, m Say) (Sum, error) {
	s, _ := api.SessionOf(ctx)
	for _, text := range m.Texts {
		s.Send(Said{text})
		s.Send(Shout{strings.ToUpper(text)})
	}
	return Sum{len(m.Texts)}, nil
}

func (r *room) Leave(ctx context.Context, _ Leave) (Sum, error) {
	s, _ := api.SessionOf(ctx)
	s.Close("that is enough")
	return Sum{}, nil
}

func (r *room) Abandoned(_ context.Context, reason string) { r.ends <- reason }

// server is an API whose door can be replaced, as in a swap.
type server struct {
	*room
	http *httptest.Server
	door atomic.Pointer[session.Door]
	api  *api.API
	wg   sync.WaitGroup
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.wg.Add(1)
	defer s.wg.Done()
	s.door.Load().ServeHTTP(w, r)
}

// swap puts another door in place, and returns when the old one is left.
func (s *server) swap() {
	if old := s.door.Swap(session.New(s.api, nil)); old != nil {
		old.Leave()
		old.Wait()
	}
}

func start(t *testing.T, l net.Listener, secure bool) *server {
	t.Helper()
	r := &room{held: make(chan struct{}, 100), goOn: make(chan struct{}), ends: make(chan string, 1000)}
	class, err := api.Methods(r)
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("sums", nil, &api.Options{Classes: []*api.Class{class}})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{room: r, api: a}
	s.swap()
	s.http = httptest.NewUnstartedServer(s)
	if l != nil {
		s.http.Listener.Close()
		s.http.Listener = l
	}
	if secure {
		s.http.EnableHTTP2 = true
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	t.Cleanup(func() { s.swap(); s.http.Close(); s.wg.Wait() })
	return s
}

func dial(t *testing.T, address string, o *client.Options) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(ctx context.Context, c *client.Client, in any) (client.Reply, error) {
	v := reflect.ValueOf(in)
	typ, err := message.Of(v.Type())
	if err != nil {
		return client.Reply{}, err
	}
	return c.Ask(ctx, v.Type().Name(), typ, v)
}

func is(t *testing.T, c *client.Client, in any, want int) {
	t.Helper()
	r, err := ask(t.Context(), c, in)
	var got Sum
	if err == nil {
		err = r.Decode(&got)
	}
	if err != nil || got.Value != want {
		t.Errorf("%v: got %v, %v, want %d", in, got, err, want)
	}
}

func TestDial_ReachesAServerInManyWays(t *testing.T) {
	s := start(t, nil, false)
	host := strings.TrimPrefix(s.http.URL, "http://")
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	start(t, l, false)
	safe := start(t, nil, true)
	safeHost := strings.TrimPrefix(safe.http.URL, "https://")
	roots := x509.NewCertPool()
	roots.AddCert(safe.http.Certificate())
	config := &tls.Config{RootCAs: roots}
	for address, o := range map[string]*client.Options{
		host: nil, "http://" + host: nil, "ws://" + host + "/any/path": {CBOR: true}, "unix:" + path: nil,
		"https://" + safeHost: {TLS: config}, "wss://" + safeHost: {TLS: config}, "tls://" + safeHost: {TLS: config, CBOR: true},
	} {
		c := dial(t, address, o)
		is(t, c, Add{20, 22}, 42)
		c.Close()
	}
}

func TestDial_SaysWhyItCannot(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	noAPI := httptest.NewServer(http.NotFoundHandler())
	defer noAPI.Close()
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "show your key", http.StatusUnauthorized)
	}))
	defer locked.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			c.CloseNow()
		}
	}))
	defer other.Close()
	for address, want := range map[string]string{
		"ftp://x": "invalid: want an address", "unix:": "invalid: want an address", "http://": "invalid: want an address", "%": "invalid: want an address",
		closed.Addr().String(): "lost: ", noAPI.URL: "invalid: no API with sessions is there: 404",
		locked.URL: "denied: 401 Unauthorized: show your key", other.URL: "invalid: it does not speak become.json",
	} {
		_, err := client.Dial(t.Context(), address, nil)
		kind, text, _ := strings.Cut(want, ": ")
		if fault.KindOf(err).String() != kind || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, %v", address, fault.KindOf(err), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Dial(ctx, noAPI.URL, nil); fault.KindOf(err) != fault.Canceled {
		t.Errorf("canceled: got %v", err)
	}
}

func TestAsk_ErrorsHaveTheirKind(t *testing.T) {
	s := start(t, nil, false)
	c := dial(t, s.http.URL, nil)
	_, err := ask(t.Context(), c, Add{-1, 0})
	var p *problem.Problem
	if fault.KindOf(err) != fault.Conflict || err.Error() != "cannot add it: it is negative" || fault.Hint(err) != "be positive" || !errors.As(err, &p) || p.Status != 409 {
		t.Errorf("got %v, %q", err, fault.Hint(err))
	}
	if _, err := ask(t.Context(), c, Sum{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, c, Hold{}); fault.KindOf(err) != fault.Deadline {
		t.Errorf("got %v", err)
	}
	<-s.held
	s.goOn <- struct{}{} // an answer that nobody waits for
	is(t, c, Add{1, 2}, 3)
}

func TestAsk_ManyAtOnce(t *testing.T) {
	s := start(t, nil, false)
	c := dial(t, s.http.URL, nil)
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() { is(t, c, Add{i, 1}, i+1) })
	}
	wg.Wait()
}

func TestReceive_InOrder(t *testing.T) {
	s := start(t, nil, false)
	got := make(chan string, 100)
	c := dial(t, s.http.URL, &client.Options{CBOR: true, Receivers: []client.Receiver{
		client.Receive(func(_ context.Context, m Said) { got <- m.Text }),
		client.Receive(func(_ context.Context, r client.Reply) { got <- r.Name }),
	}})
	is(t, c, Say{[]string{"a", "b"}}, 2)
	for _, want := range []string{"a", "sums.Shout", "b", "sums.Shout"} {
		if text := <-got; text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	bad := client.Receive(func(context.Context, chan int) {})
	if _, err := client.Dial(t.Context(), s.http.URL, &client.Options{Receivers: []client.Receiver{bad}}); err == nil {
		t.Error("a channel can be received")
	}
}

func TestSwap_LosesNoRequest(t *testing.T) {
	s := start(t, nil, false)
	var opened atomic.Int64
	c := dial(t, s.http.URL, &client.Options{Opened: func(ctx context.Context, c *client.Client) error {
		opened.Add(1)
		_, err := ask(ctx, c, Add{1, 1})
		return err
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	quit := make(chan struct{})
	asked := make([]int64, 4)
	var wg sync.WaitGroup
	for i := range asked {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				asked[i]++
				if r, err := ask(ctx, c, Add{i, 1}); err != nil {
					t.Errorf("%v, %v", r, err)
					return
				}
			}
		})
	}
	const swaps = 20
	for range swaps {
		before := s.adds.Load()
		for s.adds.Load() < before+20 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		s.swap()
	}
	close(quit)
	wg.Wait()
	want := opened.Load()
	for _, n := range asked {
		want += n
	}
	if got := s.adds.Load(); got != want { // each once
		t.Errorf("%d were done, %d were asked", got, want)
	}
	if opened.Load() < swaps {
		t.Errorf("there were %d sessions", opened.Load())
	}
}

func TestClosed_ForGood(t *testing.T) {
	s := start(t, nil, false)
	c := dial(t, s.http.URL, nil)
	is(t, c, Leave{}, 0)
	<-c.Done()
	if _, err := ask(t.Context(), c, Add{}); fault.KindOf(err) != fault.Lost || !strings.Contains(err.Error(), "that is enough") || c.Err() == nil {
		t.Errorf("got %v", err)
	}
	c = dial(t, s.http.URL, nil)
	failed := make(chan error, 1)
	go func() { _, err := ask(context.Background(), c, Hold{}); failed <- err }()
	<-s.held
	c.Close()
	if err := <-failed; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	if end := <-s.ends; end != "the client closed it" {
		t.Errorf("the server was told %q", end)
	}
}

// TestLost_ComesBack has connections broken under requests.
func TestLost_ComesBack(t *testing.T) {
	s := start(t, nil, false)
	server := s.http.Listener.Addr().String()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 10)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	go func() { // a proxy, whose connections can be broken
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() { copyAll(out, in) })
			wg.Go(func() { copyAll(in, out) })
			conns <- in
		}
	}()
	c := dial(t, l.Addr().String(), nil)
	defer c.Close()
	for range 3 {
		failed := make(chan error, 1)
		go func() { _, err := ask(context.Background(), c, Hold{}); failed <- err }()
		<-s.held
		(<-conns).Close()
		if err := <-failed; fault.KindOf(err) != fault.Lost {
			t.Errorf("got %v", err)
		}
		is(t, c, Add{1, 2}, 3) // in the next session
	}
	l.Close()
	(<-conns).Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for err = nil; fault.KindOf(err) != fault.Deadline; {
		if _, err = ask(ctx, c, Add{}); err == nil {
			t.Fatal("it was answered")
		}
	}
	if !strings.Contains(err.Error(), "refused") {
		t.Errorf("it does not say why: %v", err)
	}
}

func copyAll(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestWatch_NoticesAServerThatIsGone(t *testing.T) {
	silent := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"become.json"}}); err == nil {
			<-silent // it reads nothing, and so answers no ping
			c.CloseNow()
		}
	}))
	defer s.Close()
	defer close(silent)
	c := dial(t, s.URL, &client.Options{PingEvery: 10 * time.Millisecond, PongWithin: 20 * time.Millisecond})
	if _, err := ask(t.Context(), c, Add{}); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
}
