package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/session"
)

type (
	Multiply struct{ X, Y float64 }
	Hold     struct{ Name string }
	Fail     struct{ How string }
	Push     struct{ Texts []string }
	Flood    struct {
		N, Size int
		Hasty   bool // it is not waited until it is taken
	}
	Leave struct{ Reason string }

	Output struct{ Value float64 }
	Said   struct{ Text string }
)

// desk is a class that notes what it is told.
type desk struct {
	held   chan string   // the names of requests that wait
	goOn   chan struct{} // lets one of them go
	told   chan string   // how sessions begin and end
	refuse error
	deaf   chan struct{} // lets requests go that do not heed their contexts
}

func (d *desk) Multiply(_ context.Context, m Multiply) (Output, error) {
	return Output{m.X * m.Y}, nil
}

// Hold answers when it is let go.
func (d *desk) Hold(ctx context.Context, m Hold) (Said, error) {
	d.held <- m.Name
	select {
	case <-d.goOn:
		return Said{m.Name}, nil
	case <-ctx.Done():
		d.told <- "canceled " + m.Name
		return Said{}, ctx.Err()
	}
}

// Maybe is Hold for who has a name.
func (d *desk) Maybe(ctx context.Context, m Hold) (Said, error) {
	if m.Name == "" {
		return Said{}, nil
	}
	return d.Hold(ctx, m)
}

func (d *desk) Echo(_ context.Context, m Hold) (Said, error) { return Said{m.Name}, nil }

// Deaf does not heed its context.
func (d *desk) Deaf(context.Context, Hold) (Said, error) {
	<-d.deaf
	return Said{}, nil
}

func (d *desk) Fail(_ context.Context, m Fail) (Output, error) {
	switch m.How {
	case "panic":
		panic("oh no")
	case "exit":
		runtime.Goexit()
	case "infinite":
		var zero float64
		return Output{1 / zero}, nil
	case "plain":
		return Output{}, errors.New("it broke")
	}
	return Output{}, fault.Text(fault.ParseKind(m.How), "do", "it", "it cannot be").WithHint("try another")
}

func (d *desk) Push(ctx context.Context, m Push) (Said, error) {
	s, ok := api.SessionOf(ctx)
	if !ok {
		return Said{}, errors.New("there is no session")
	}
	for _, text := range m.Texts {
		if err := s.Send(Said{text}); err != nil {
			return Said{}, err
		}
	}
	return Said{s.ID() + " at " + s.Peer()}, nil
}

// Flood pushes much, as fast as it is taken or faster.
func (d *desk) Flood(ctx context.Context, m Flood) (Output, error) {
	s, _ := api.SessionOf(ctx)
	for i := range m.N {
		if err := s.Send(Said{strings.Repeat("x", m.Size)}); err != nil {
			return Output{float64(i)}, err
		}
		if m.Hasty {
			continue
		}
		if err := s.Flush(ctx); err != nil {
			return Output{float64(i)}, err
		}
	}
	return Output{float64(m.N)}, nil
}

func (d *desk) Leave(ctx context.Context, m Leave) (Said, error) {
	s, _ := api.SessionOf(ctx)
	s.Send(Said{"bye"})
	s.Close(m.Reason)
	return Said{"closed"}, nil
}

func (d *desk) Accepted(ctx context.Context) error {
	if d.refuse != nil {
		return d.refuse
	}
	d.told <- "accepted"
	return nil
}

func (d *desk) Closed(_ context.Context, reason string)    { d.told <- "closed: " + reason }
func (d *desk) Abandoned(_ context.Context, reason string) { d.told <- "abandoned: " + reason }

// served is a door under test. Its end checks that nobody is left.
type served struct {
	*desk
	door *session.Door
	url  string
	api  *api.API
}

func start(t *testing.T, refuse error, o *session.Options) *served {
	t.Helper()
	d := &desk{
		held: make(chan string, 1000), goOn: make(chan struct{}), told: make(chan string, 1000), deaf: make(chan struct{}), refuse: refuse,
	}
	class, err := api.Methods(d, api.HandlerOptions{Name: "Deaf", Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("crunch", nil, &api.Options{Classes: []*api.Class{class}})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{desk: d, door: session.New(a, o), api: a}
	var handlers sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		s.door.ServeHTTP(w, r)
	}))
	s.url = server.URL
	t.Cleanup(func() {
		close(d.deaf)
		s.door.Leave()
		s.door.Wait()
		handlers.Wait() // whatever a session has started has ended
		server.Close()
		if n := s.door.Open(); n > 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	return s
}

// is waits for what the class is told next.
func (s *served) is(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-s.told:
		if !strings.HasPrefix(got, want) {
			t.Errorf("it was told %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("it was not told %q", want)
	}
}

type client struct {
	*websocket.Conn
	t   *testing.T
	ctx context.Context
}

func (s *served) dial(t *testing.T, o *websocket.DialOptions) client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c, _, err := websocket.Dial(ctx, s.url, o)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow(); cancel() })
	if s.refuse == nil {
		s.is(t, "accepted")
	}
	return client{c, t, ctx}
}

func (c client) say(format string, args ...any) {
	c.t.Helper()
	if err := c.Write(c.ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) hears(want string) {
	c.t.Helper()
	_, data, err := c.Read(c.ctx)
	if err != nil {
		c.t.Fatalf("%v, want %s", err, want)
	}
	if got := string(data); got != want {
		c.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// ends waits for the end, and returns its code and reason.
func (c client) ends() (int, string) {
	c.t.Helper()
	for {
		_, _, err := c.Read(c.ctx)
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[websocket.CloseError](err)
		if !ok {
			return 0, err.Error()
		}
		return int(closed.Code), closed.Reason
	}
}

func TestSession_AnswersRequests(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, &websocket.DialOptions{HTTPHeader: http.Header{"X-Request-Id": {"me"}}})
	for request, want := range map[string]string{
		`{"id":1,"request":"Multiply","value":{"x":1.5,"y":2.25}}`: `{"id":1,"value":["crunch.Output",{"value":3.375},[]]}`,
		`{"request":"Multiply","id":2}`:                            `{"id":2,"value":["crunch.Output",{"value":0},[]]}`,
		`{"id":3,"request":"Gone"}`:                                `{"id":3,"error":{"title":"Not Found","status":404,"detail":"cannot find request \"Gone\": there is Deaf, Echo, Fail, Flood, Hold, Leave, Maybe, Multiply, Push","kind":"not found","request_id":"me.3"}}`,
		`{"id":4,"request":"Multiply","value":{"z":1}}`:            `{"id":4,"error":{"title":"Bad Request","status":400,"detail":"z: there is no such field; there is x, y","kind":"invalid","errors":[{"path":"z","text":"there is no such field; there is x, y"}],"request_id":"me.4"}}`,
		`{"id":5,"request":"Fail","value":{"how":"panic"}}`:        `{"id":5,"error":{"title":"Internal Server Error","status":500,"detail":"cannot answer Fail: the handler panicked","kind":"internal","request_id":"me.5"}}`,
		`{"id":6,"request":"Fail","value":{"how":"plain"}}`:        `{"id":6,"error":{"title":"Internal Server Error","status":500,"detail":"cannot answer Fail: it broke","kind":"remote","request_id":"me.6"}}`,
		`{"id":7,"request":"Fail","value":{"how":"busy"}}`:         `{"id":7,"error":{"title":"Service Unavailable","status":503,"detail":"cannot do it: it cannot be","kind":"busy","hint":"try another","request_id":"me.7"}}`,
		`{"id":8,"request":"Fail","value":{"how":"infinite"}}`:     `{"id":8,"error":{"title":"Unprocessable Entity","status":422,"detail":"cannot write answer: value: +Inf is no number that JSON has","kind":"invalid","request_id":"me.8"}}`,
		`{"id":9,"request":"Deaf"}`:                                `{"id":9,"error":{"title":"Gateway Timeout","status":504,"detail":"cannot answer Deaf: the handler did not answer within 20ms","kind":"deadline","request_id":"me.9"}}`,
		`{"request":5}`:                                            `{"error":{"title":"Bad Request","status":400,"detail":"request: must be a text","kind":"invalid","errors":[{"path":"request","text":"must be a text"}],"request_id":"me.0"}}`,
		`[]`:                                                       `{"error":{"title":"Bad Request","status":400,"detail":"a request is an object of id, request and value","kind":"invalid","errors":[{"path":"","text":"a request is an object of id, request and value"}],"request_id":"me.0"}}`,
	} {
		c.say("%s", request)
		c.hears(want)
	}
	c.say(`{"request":"Fail","value":{"how":"plain"}}`) // nobody wants to know
	c.say(`{"id":10,"request":"Multiply"}`)
	c.hears(`{"id":10,"value":["crunch.Output",{"value":0},[]]}`)
	c.Close(websocket.StatusNormalClosure, "enough")
	s.is(t, "abandoned: the client closed it: enough")
}

func TestSession_RequestsAreAnsweredInAnyOrder(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	c.say(`{"id":1,"request":"Hold","value":{"name":"slow"}}`)
	<-s.held
	c.say(`{"id":2,"request":"Multiply"}`)
	c.hears(`{"id":2,"value":["crunch.Output",{"value":0},[]]}`)
	s.goOn <- struct{}{}
	c.hears(`{"id":1,"value":["crunch.Said",{"text":"slow"},[]]}`)
}

// A handler that ends its goroutine, which may be the one that reads, fails its own request alone.
func TestSession_GoesOnWithoutTheGoroutineThatAHandlerEnded(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	for i, how := range []string{"exit", "exit", "conflict", "conflict", "conflict", "conflict", "conflict", "exit", "exit"} {
		id := strconv.Itoa(i + 1)
		c.say(`{"id":%s,"request":"Fail","value":{"how":"%s"}}`, id, how)
		want := "it cannot be"
		if how == "exit" {
			want = "the handler ended its goroutine"
		}
		_, got, err := c.Read(c.ctx)
		if err != nil || !strings.HasPrefix(string(got), `{"id":`+id+`,"error":`) || !strings.Contains(string(got), want) {
			t.Fatalf("%s: got %s, %v", how, got, err)
		}
	}
	c.say(`{"id":10,"request":"Multiply"}`)
	c.hears(`{"id":10,"value":["crunch.Output",{"value":0},[]]}`)
	c.Close(websocket.StatusNormalClosure, "enough")
	s.is(t, "abandoned: the client closed it: enough")
}

func TestSession_WhatWasQuickHoldsNobodyUp(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	for range 50 {
		c.say(`{"id":1,"request":"Maybe","value":{"name":""}}`)
		c.hears(`{"id":1,"value":["crunch.Said",{"text":""},[]]}`)
	}
	c.say(`{"id":1,"request":"Maybe","value":{"name":"slow"}}`)
	<-s.held
	c.say(`{"id":2,"request":"Multiply"}`)
	c.hears(`{"id":2,"value":["crunch.Output",{"value":0},[]]}`)
	if err := c.Ping(c.CloseRead(c.ctx)); err != nil {
		t.Errorf("a ping is not answered: %v", err)
	}
	s.goOn <- struct{}{}
}

func TestSession_BoundsWhatRunsAtOnce(t *testing.T) {
	s := start(t, nil, &session.Options{MaxRequests: 2})
	c := s.dial(t, nil)
	const n = 20
	for i := range n {
		c.say(`{"id":%d,"request":"Hold","value":{"name":"n"}}`, i+1)
	}
	for i := range n {
		if i < 2 {
			<-s.held
			continue
		}
		select {
		case <-s.held:
			t.Fatal("a third one runs")
		default:
		}
		s.goOn <- struct{}{}
		<-s.held
	}
	s.goOn <- struct{}{}
	s.goOn <- struct{}{}
	for range n {
		if _, _, err := c.Read(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Who waits for a place reads nothing: what a client sends meanwhile waits in the network, not in memory.
func TestSession_ReadsNothingWhileItIsFull(t *testing.T) {
	s := start(t, nil, &session.Options{MaxRequests: 1})
	c := s.dial(t, nil)
	for i := range 20 {
		c.say(`{"id":%d,"request":"Hold","value":{"name":"n"}}`, i+1)
	}
	<-s.held
	b := make([]byte, 1<<20)
	for over := time.Now().Add(200 * time.Millisecond); time.Now().Before(over); { // many times as long as it takes to hand the reading over
		if n := strings.Count(string(b[:runtime.Stack(b, true)]), "(*session).admit("); n > 1 {
			t.Fatalf("%d messages were read that have no place", n)
		}
	}
	for range 20 {
		s.goOn <- struct{}{}
		if _, _, err := c.Read(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSession_PushesComeInOrderAndBeforeTheAnswer(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	for range 20 {
		c.say(`{"id":1,"request":"Push","value":{"texts":["one","two","three"]}}`)
		for _, text := range []string{"one", "two", "three"} {
			c.hears(`{"value":["crunch.Said",{"text":"` + text + `"},[]]}`)
		}
		if _, data, err := c.Read(c.ctx); err != nil || !strings.Contains(string(data), " at 127.0.0.1:") {
			t.Errorf("got %s, %v", data, err)
		}
	}
}

func TestSession_ClosedByAHandler(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	reason := strings.Repeat("long é ", 50)
	c.say(`{"id":1,"request":"Leave","value":{"reason":%q}}`, reason)
	c.hears(`{"value":["crunch.Said",{"text":"bye"},[]]}`)
	c.hears(`{"id":1,"value":["crunch.Said",{"text":"closed"},[]]}`)
	if code, got := c.ends(); code != 1000 || len(got) > 120 || !strings.HasPrefix(got, "long é long é") {
		t.Errorf("got %d, %s", code, got)
	}
	s.is(t, "closed: long é")
}

func TestSession_Refused(t *testing.T) {
	s := start(t, fault.Text(fault.Denied, "enter", "the room", "it is full"), nil)
	c := s.dial(t, nil)
	if code, got := c.ends(); code != 1008 || got != "cannot enter the room: it is full" {
		t.Errorf("got %d, %s", code, got)
	}
}

func TestSession_CBOR(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, &websocket.DialOptions{Subprotocols: []string{"other", "become.cbor"}})
	if got := c.Subprotocol(); got != "become.cbor" {
		t.Fatalf("they speak %q", got)
	}
	request := "\xa3\x62id\x01\x67request\x68Multiply\x65value\xa2\x61x\xf9\x3e\x00\x61y\x02" // x is 1.5
	if err := c.Write(c.ctx, websocket.MessageBinary, []byte(request)); err != nil {
		t.Fatal(err)
	}
	c.hears("\xa2\x62id\x01\x65value\x83\x6dcrunch.Output\xa1\x65value\xf9\x42\x00\x80")
	c.say("{}")
	if code, _ := c.ends(); code != 1003 {
		t.Errorf("it ends with %d", code)
	}
}

func TestSession_OfAnotherOriginIsRefused(t *testing.T) {
	s := start(t, nil, &session.Options{Origins: []string{"https://friend.example"}})
	for origin, want := range map[string]int{"https://friend.example": 101, s.url: 101, "https://evil.example": 403, "null": 403, "http://friend.example": 403, "%": 403} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c, res, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if res == nil || res.StatusCode != want {
			t.Errorf("%s: got %v, %v", origin, res, err)
		}
		if err == nil {
			s.is(t, "accepted")
			c.CloseNow()
			s.is(t, "abandoned")
		} else if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"kind":"denied"`) {
			t.Errorf("%s: got %s", origin, body)
		}
		cancel()
	}
}

func TestLeave_AnswersWhatIsUnderWay(t *testing.T) {
	s := start(t, nil, nil)
	c := s.dial(t, nil)
	c.say(`{"id":1,"request":"Hold","value":{"name":"slow"}}`)
	<-s.held
	s.door.Leave()
	c.say(`{"id":2,"request":"Multiply"}`) // too late: it is not begun
	s.goOn <- struct{}{}
	c.hears(`{"id":1,"value":["crunch.Said",{"text":"slow"},[]]}`)
	if code, reason := c.ends(); code != 1012 || !strings.Contains(reason, "dial again") {
		t.Errorf("it ends with %d, %s", code, reason)
	}
	s.is(t, "closed: the service goes away")
	s.refuse = errors.New("not even asked")
	if code, reason := s.dial(t, nil).ends(); code != 1012 || !strings.Contains(reason, "dial again") {
		t.Errorf("a new session ends with %d, %s", code, reason)
	}
}
