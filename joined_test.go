package become

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/micro"
)

type (
	Halve   struct{ X float64 }
	Half    struct{ Value float64 }
	Trouble struct{}
)

func TestFleet_AnAPIAtTheBusIsAsked(t *testing.T) {
	f, err := Connect(t.Context(), Config{Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &apiParts{}
	Handle(func(_ context.Context, m Halve) (Half, error) { return Half{m.X / 2}, nil }).addTo(p)
	Handle(func(context.Context, Trouble) (Half, error) {
		return Half{}, fault.Text(fault.Denied, "", "", "not today")
	}).addTo(p)
	a, err := api.New("half", p.handlers, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := micro.Serve(t.Context(), f.f.Bus(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to := f.API("half")
	if out, err := Ask[Half](t.Context(), to, Halve{5}); err != nil || out.Value != 2.5 {
		t.Errorf("got %v, %v", out, err)
	}
	if r, err := Ask[Reply](t.Context(), to, Halve{5}); err != nil || r.Name != "half.Half" {
		t.Errorf("got %v, %v", r, err)
	}
	if _, err := Ask[Half](t.Context(), to, Trouble{}); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "not today") {
		t.Errorf("got %v", err)
	}
	if _, err := Ask[Half](t.Context(), to, Multi{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	if _, err := Ask[Trouble](t.Context(), to, Halve{5}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "half.Half") {
		t.Errorf("got %v", err)
	}
	if _, err := Ask[Half](t.Context(), f.API("nobody"), Halve{5}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}

// Multi is a request that nobody has.
type Multi struct{}

// A service whose bus does not let it in goes on without.
func TestJoins_EndsWhenItIsRefused(t *testing.T) {
	a, err := api.New("half", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = joins(a)(t.Context(), ctx, wire.Bus{URL: "nats://127.0.0.1:1", Name: "half", ID: "x"})
	if err == nil || errors.Is(err, context.Canceled) && fault.KindOf(err) == fault.Internal {
		t.Errorf("got %v", err)
	}
}
