package api_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
)

type (
	Add   struct{ A, B int }
	Sum   struct{ Value int }
	Empty struct{}
)

func add(_ context.Context, m Add) (Sum, error) { return Sum{m.A + m.B}, nil }

func TestHandle_RefusesWhatCannotBeARequest(t *testing.T) {
	for want, f := range map[string]func() error{
		"it is nil": func() error { _, err := api.Handle[Add, Sum](nil, nil); return err },
		"a request is a struct": func() error {
			_, err := api.Handle(func(context.Context, int) (Sum, error) { return Sum{}, nil }, nil)
			return err
		},
		"give one in its options": func() error {
			_, err := api.Handle(func(context.Context, struct{ X int }) (Sum, error) { return Sum{}, nil }, nil)
			return err
		},
		"name the types": func() error {
			_, err := api.Handle(func(context.Context, Add) (any, error) { return Sum{}, nil }, nil)
			return err
		},
		"cannot be part of a message": func() error {
			_, err := api.Handle(func(context.Context, Add) (chan int, error) { return nil, nil }, nil)
			return err
		},
	} {
		if err := f(); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNew_RefusesEqualNames(t *testing.T) {
	h, err := api.Handle(add, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.New("sums", []*api.Handler{h, h}, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	type Sum struct{ Text string }
	other, err := api.Handle(func(context.Context, Empty) (Sum, error) { return Sum{}, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.New("sums", []*api.Handler{h, other}, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("two replies of one name: %v", err)
	}
	for _, name := range []string{"", "a b", "a.b"} {
		if _, err := api.New(name, nil, nil); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := api.New("sums", []*api.Handler{nil}, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestCall_AnswersWithWhatWasDeclared(t *testing.T) {
	good, err := api.Handle(add, &api.HandlerOptions{Name: "plus", Doc: "adds"})
	if err != nil {
		t.Fatal(err)
	}
	var answer any
	open, err := api.Handle(func(context.Context, Empty) (any, error) { return answer, nil }, &api.HandlerOptions{Replies: []any{Sum{}}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("sums", []*api.Handler{good, open}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.Find("plus")
	if err != nil {
		t.Fatal(err)
	}
	m := Add{2, 3}
	r, err := a.Call(t.Context(), h, reflect.ValueOf(&m).Elem())
	if err != nil || r.Type.Name() != "Sum" || r.Value.Interface() != (Sum{5}) {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, wrong := range []any{nil, Add{}, "text"} {
		answer = wrong
		if _, err := a.Call(t.Context(), open, reflect.ValueOf(&Empty{}).Elem()); fault.KindOf(err) != fault.Internal {
			t.Errorf("%v: got %v", wrong, err)
		}
	}
	if _, err := a.Find(strings.Repeat("x", 1<<20)); fault.KindOf(err) != fault.NotFound || len(err.Error()) > 200 {
		t.Errorf("got an error of %d bytes", len(err.Error()))
	}
}
