package api_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
)

// counter is a class: its methods are requests, but for those without a context.
type counter struct {
	told []string
	fail string // what fails
	n    int
}

func (c *counter) note(what string) error {
	c.told = append(c.told, what)
	if c.fail == what {
		return errors.New("it cannot")
	}
	if c.fail == what+" by panic" {
		panic("oh no")
	}
	return nil
}

func (c *counter) Add(ctx context.Context, m Add) (Sum, error) {
	c.n += m.A + m.B
	s, ok := api.SessionOf(ctx)
	return Sum{c.n}, c.note(fmt.Sprint("Add ", ok, s.ID(), s.Peer()))
}

func (c *counter) Pick(context.Context, struct{ X int }) (any, error) { return Empty{}, nil }
func (c *counter) Listen() string                                     { return "nobody's business" }
func (c *counter) Start(context.Context) error                        { return c.note("Start") }
func (c *counter) Stop(context.Context) error                         { return c.note("Stop") }
func (c *counter) Accepted(ctx context.Context) error {
	s, _ := api.SessionOf(ctx)
	return c.note("Accepted " + s.ID())
}
func (c *counter) Closed(_ context.Context, reason string)    { c.note("Closed " + reason) }
func (c *counter) Abandoned(_ context.Context, reason string) { c.note("Abandoned " + reason) }

type quiet struct{}

func (quiet) Push(api.Reply) error        { return nil }
func (quiet) Flush(context.Context) error { return nil }
func (quiet) End(string)                  {}

var picks = api.HandlerOptions{Name: "Pick", Replies: []any{Empty{}}}

func classes(t *testing.T, all ...*api.Class) *api.API {
	t.Helper()
	a, err := api.New("sums", nil, &api.Options{Classes: all})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func methods(t *testing.T, c *counter) *api.Class {
	t.Helper()
	class, err := api.Methods(c, picks)
	if err != nil {
		t.Fatal(err)
	}
	return class
}

func ask(t *testing.T, a *api.API, ctx context.Context, name string, in any) any {
	t.Helper()
	h, err := a.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.New(h.In.Go()).Elem()
	v.Set(reflect.ValueOf(in).Convert(h.In.Go()))
	reply, err := a.Call(ctx, h, v)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Value.Interface()
}

func TestMethods_AreHandlers(t *testing.T) {
	c := &counter{}
	a := classes(t, methods(t, c))
	var names []string
	for _, h := range a.Handlers() {
		names = append(names, h.Name)
	}
	if want := []string{"Add", "Pick"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	ask(t, a, t.Context(), "Add", Add{1, 2})
	if got := ask(t, a, t.Context(), "Add", Add{3, 4}); got != (Sum{10}) {
		t.Errorf("got %v", got)
	}
	if got := ask(t, a, t.Context(), "Pick", struct{ X int }{}); got != (Empty{}) {
		t.Errorf("got %v", got)
	}
}

type (
	badHandler struct{ Empty }
	badStart   struct{ Empty }
	onPointer  struct{ Empty }
)

func (badHandler) Wrong(context.Context) error           { return nil }
func (badStart) Start()                                  {}
func (*onPointer) Add(context.Context, Add) (Sum, error) { return Sum{}, nil }
func perSession[T any](o ...api.HandlerOptions) (*api.Class, error) {
	return api.PerSession(func(*api.Session) (v T) { return v }, o...)
}

func TestMethods_RefusesWhatDoesNotFit(t *testing.T) {
	one := func(c *api.Class, err error) error { return err }
	var missing *counter
	for want, err := range map[string]error{
		"it is nil":                    one(api.Methods(missing)),
		"Wrong takes a context":        one(api.Methods(badHandler{})),
		"want Start as func(context":   one(api.Methods(badStart{})),
		"need a pointer":               one(api.Methods(onPointer{})),
		"has no method as":             one(api.Methods(Empty{})),
		`a method "Gone"`:              one(api.Methods(&onPointer{}, api.HandlerOptions{Name: "Gone"})),
		"its answer is an interface":   one(api.Methods(&counter{})),
		"what makes one is nil":        one(api.PerSession[*counter](nil)),
		"lives as long as its session": one(perSession[*counter](picks)),
	} {
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestStart_ThatFailsStopsWhatHasStarted(t *testing.T) {
	for _, how := range []string{"Start", "Start by panic"} {
		first, second, third := &counter{}, &counter{fail: how}, &counter{}
		a, err := api.New("sums", nil, &api.Options{Classes: lives(t, first, second, third)})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err == nil {
			t.Fatalf("%s: it started", how)
		}
		if got := slices.Concat(first.told, second.told, third.told); !slices.Equal(got, []string{"Start", "Stop", "Start"}) {
			t.Errorf("%s: got %v", how, got)
		}
	}
}

// life is a class without requests.
type life struct{ c *counter }

func (l life) Start(ctx context.Context) error    { return l.c.Start(ctx) }
func (l life) Stop(ctx context.Context) error     { return l.c.Stop(ctx) }
func (l life) Accepted(ctx context.Context) error { return l.c.Accepted(ctx) }
func (l life) Closed(ctx context.Context, reason string) {
	l.c.Closed(ctx, reason)
}

func lives(t *testing.T, all ...*counter) (classes []*api.Class) {
	t.Helper()
	for _, one := range all {
		c, err := api.Methods(life{one})
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, c)
	}
	return classes
}

func TestStop_TellsAllInReverse(t *testing.T) {
	var told []string
	first, second := &counter{fail: "Stop"}, &counter{fail: "Stop by panic"}
	a := classes(t, lives(t, first, second)...)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := a.Stop(t.Context())
	if err == nil || !strings.Contains(err.Error(), "it cannot") || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("got %v", err)
	}
	told = slices.Concat(first.told, second.told)
	if !slices.Equal(told, []string{"Start", "Stop", "Start", "Stop"}) {
		t.Errorf("got %v", told)
	}
}

// caller is a class with an object for each session.
type caller struct {
	s *api.Session
	n int
}

func (c *caller) Add(_ context.Context, m Add) (Sum, error) {
	c.n += m.A + m.B
	return Sum{c.n}, nil
}

func TestPerSession_EachHasItsOwn(t *testing.T) {
	class, err := api.PerSession(func(s *api.Session) *caller { return &caller{s: s} })
	if err != nil {
		t.Fatal(err)
	}
	a := classes(t, class)
	contexts := []context.Context{t.Context(), t.Context()} // of plain requests
	for _, id := range []string{"one", "two"} {
		s, err := a.Accept(t.Context(), id, "somewhere", quiet{})
		if err != nil {
			t.Fatal(err)
		}
		contexts = append(contexts, s.With(t.Context()), s.With(t.Context()))
	}
	var got []any
	for _, ctx := range contexts {
		got = append(got, ask(t, a, ctx, "Add", Add{1, 2}))
	}
	if want := []any{Sum{3}, Sum{3}, Sum{3}, Sum{6}, Sum{3}, Sum{6}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAccept_ThatIsRefusedIsClosed(t *testing.T) {
	first, second := &counter{}, &counter{fail: "Accepted s1"}
	a := classes(t, lives(t, first, second)...)
	if _, err := a.Accept(t.Context(), "s1", "", quiet{}); err == nil {
		t.Fatal("it was accepted")
	}
	if got := slices.Concat(first.told, second.told); !slices.Equal(got, []string{"Accepted s1", "Closed it was refused", "Accepted s1"}) {
		t.Errorf("got %v", got)
	}
}

func TestSession_EveryClassIsTold(t *testing.T) {
	c := &counter{}
	a := classes(t, methods(t, c))
	s, err := a.Accept(t.Context(), "s1", "peer", quiet{})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, a, s.With(t.Context()), "Add", Add{})
	a.Close(t.Context(), s, "enough")
	a.Abandon(t.Context(), s, "gone")
	want := []string{"Accepted s1", "Add trues1peer", "Closed enough", "Abandoned gone"}
	if !slices.Equal(c.told, want) {
		t.Errorf("got %v, want %v", c.told, want)
	}
}

func TestSession_SendsOnlyMessages(t *testing.T) {
	c := &counter{}
	s, err := classes(t, methods(t, c)).Accept(t.Context(), "s1", "", quiet{})
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []any{Sum{1}, &Sum{1}} {
		if err := s.Send(good); err != nil {
			t.Errorf("%#v: %v", good, err)
		}
	}
	var none *api.Session
	none.Close("")
	errs := []error{none.Send(Sum{}), s.Send(nil), s.Send((*Sum)(nil)), s.Send(struct{}{}), s.Send(make(chan int)), s.Send([]int{1})}
	for i, err := range errs {
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d: %v", i, err)
		}
	}
}
