package become

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
)

type (
	addition struct{ A, B int }
	Sum      struct{ Value int }
	Note     struct{ Text string }
	Linger   struct{}
)

// desk is a class whose life is written down.
type desk struct {
	mu   sync.Mutex
	told []string
	held chan struct{}
	goOn chan struct{}
	fail error
}

func (d *desk) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, what)
}

func (d *desk) Start(context.Context) error                    { d.note("start"); return d.fail }
func (d *desk) Stop(context.Context) error                     { d.note("stop"); return nil }
func (d *desk) Accepted(context.Context) error                 { d.note("accepted"); return nil }
func (d *desk) Closed(_ context.Context, reason string)        { d.note("closed: " + reason) }
func (d *desk) Abandoned(_ context.Context, reason string)     { d.note("abandoned: " + reason) }
func (d *desk) Add(_ context.Context, m addition) (Sum, error) { return Sum{m.A + m.B}, nil }

func (d *desk) Pointed(_ context.Context, m addition) (*Sum, error) { return &Sum{m.A + m.B}, nil }
func (d *desk) Listed(context.Context, addition) ([]Sum, error)     { return []Sum{{1}}, nil }
func (d *desk) Several(_ context.Context, m addition) (several[Sum], error) {
	return several[Sum]{[]Sum{{m.A + m.B}}}, nil
}

// several is a generic type.
type several[T any] struct{ All []T }

func (d *desk) Linger(ctx context.Context, _ Linger) (Note, error) {
	s, ok := SessionOf(ctx)
	if !ok {
		return Note{}, NewError(Invalid, "there is no session")
	}
	d.held <- struct{}{}
	<-d.goOn
	return Note{"done"}, s.Send(Note{"soon"})
}

// counter is one of a session's own.
type counter struct{ n int }

func (c *counter) Count(context.Context, struct{}) (int, error) { c.n++; return c.n, nil }

// served serves an API alone until the function that it returns is called.
func served(t *testing.T, s *Server) (addr string, end func() error) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	r, w := net.Pipe()
	over := make(chan error, 1)
	go func() {
		defer w.Close()
		over <- serveAlone(ctx, []*Server{s}, servicesOf([]*Server{s}), []string{"--listen", "127.0.0.1:0"}, io.Discard, w)
	}()
	t.Cleanup(cancel)
	buf := make([]byte, 200)
	n, _ := r.Read(buf)
	_, addr, ok := strings.Cut(strings.TrimSpace(string(buf[:n])), ": serving on ")
	if !ok {
		t.Fatalf("it said %q, %v", buf[:n], <-over)
	}
	return addr, func() error { cancel(); return <-over }
}

func TestAPI_SessionsLiveWithTheService(t *testing.T) {
	d := &desk{held: make(chan struct{}), goOn: make(chan struct{})}
	addr, end := served(t, API("desk", Methods(d), PerSession(func(*Session) *counter { return &counter{} }),
		Route("/own", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "mine: "+r.Header.Get("Upgrade")) }))))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	notes := make(chan string, 10)
	c, err := DialAPI(ctx, addr, DialOptions{Receivers: []Receiver{Receive(func(_ context.Context, n Note) { notes <- n.Text })}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if sum, err := AskNamed[Sum](ctx, c, "Add", addition{1, 2}); sum != (Sum{3}) || err != nil {
		t.Errorf("got %v, %v", sum, err)
	}
	for want := range 3 {
		if n, err := AskNamed[int](ctx, c, "Count", struct{}{}); n != want+1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if _, err := AskNamed[Note](ctx, c, "Add", addition{}); KindOf(err) != Invalid || !strings.Contains(err.Error(), "desk.Sum, not a Note") {
		t.Errorf("got %v", err)
	}
	if got, err := AskNamed[*Sum](ctx, c, "Pointed", addition{2, 2}); err != nil || *got != (Sum{4}) {
		t.Errorf("a pointer: got %v, %v", got, err)
	}
	if got, err := AskNamed[Sum](ctx, c, "Pointed", addition{2, 2}); err != nil || got != (Sum{4}) {
		t.Errorf("what a pointer is to: got %v, %v", got, err)
	}
	if got, err := AskNamed[several[Sum]](ctx, c, "Several", addition{2, 2}); err != nil || len(got.All) != 1 {
		t.Errorf("a generic type: got %v, %v", got, err)
	}
	if raw, err := AskNamed[Reply](ctx, c, "Listed", addition{}); err != nil || raw.Name != "desk.[]Sum" {
		t.Errorf("a list: got %v, %v", raw.Name, err)
	}
	var sum Sum
	if raw, err := AskNamed[Reply](ctx, c, "Add", addition{1, 2}); err != nil || raw.Name != "desk.Sum" || raw.Decode(&sum) != nil || sum.Value != 3 {
		t.Errorf("got %v, %v", raw, err)
	}
	if err := Tell(ctx, c, Linger{}); err != nil {
		t.Error(err)
	}
	<-d.held
	fu := Async(ctx, func(ctx context.Context) (Note, error) { return Ask[Note](ctx, c, Linger{}) })
	<-d.held
	over := make(chan error, 1)
	go func() { over <- end() }()
	d.goOn <- struct{}{}
	d.goOn <- struct{}{}
	if n, err := fu.Wait(ctx); n.Text != "done" || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
	for range 2 {
		if n := <-notes; n != "soon" {
			t.Errorf("the notes say %q", n)
		}
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if want := []string{"start", "accepted", "closed: the service goes away: dial again", "stop"}; !slices.Equal(d.told, want) {
		t.Errorf("got %q, want %q", d.told, want)
	}
}

func TestAPI_RoutesKeepTheirUpgrades(t *testing.T) {
	addr, end := served(t, API("desk", Methods(&desk{}),
		Route("/own", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "mine") }))))
	_, err := DialAPI(t.Context(), addr+"/own")
	if err == nil || !strings.Contains(err.Error(), "mine") {
		t.Errorf("got %v", err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestAPI_ThatCannotStart(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	d := &desk{fail: errors.New("the table is locked")}
	s := API("desk", Methods(d))
	err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), []string{"--listen", "127.0.0.1:0"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "cannot start desk: the table is locked") || !slices.Equal(d.told, []string{"start"}) {
		t.Errorf("got %v, %q", err, d.told)
	}
	s = API("desk", Methods(nil))
	if err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), []string{"--listen", "127.0.0.1:0"}, io.Discard, io.Discard); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

type (
	Fastest struct{}
	All     struct{}
)

// TestAPI_HandlersAskOthers has a handler ask an API that answers and one that does not: that costs a deadline, nothing else.
func TestAPI_HandlersAskOthers(t *testing.T) {
	d := &desk{held: make(chan struct{}, 100), goOn: make(chan struct{})}
	behind, endBehind := served(t, API("behind", Methods(d)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := DialAPI(ctx, behind)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	add := func(ctx context.Context) (Sum, error) { return AskNamed[Sum](ctx, c, "Add", addition{1, 2}) }
	never := func(ctx context.Context) (Sum, error) { return AskNamed[Sum](ctx, c, "Linger", Linger{}) }
	front, endFront := served(t, API("front",
		Handle(func(ctx context.Context, _ Fastest) (Sum, error) {
			return First(ctx, Async(ctx, never), Async(ctx, add))
		}),
		Handle(func(ctx context.Context, _ All) (Sum, error) {
			_, err := Gather(ctx, Async(ctx, add), Async(ctx, never))
			return Sum{}, err
		}, RequestOptions{Timeout: 50 * time.Millisecond}),
	))
	asker, err := DialAPI(ctx, front)
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	all := Async(ctx, func(ctx context.Context) (Sum, error) { return Ask[Sum](ctx, asker, All{}) })
	for range 10 {
		if sum, err := Ask[Sum](ctx, asker, Fastest{}); sum.Value != 3 || err != nil {
			t.Errorf("got %v, %v", sum, err)
		}
	}
	if _, err := all.Wait(ctx); KindOf(err) != Deadline {
		t.Errorf("got %v", err)
	}
	close(d.goOn)
	if err := errors.Join(endFront(), endBehind()); err != nil {
		t.Error(err)
	}
}
