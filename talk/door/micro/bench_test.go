package micro

import (
	"context"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/talk/api"
)

// nowhere is a bus that costs nothing.
type nowhere struct {
	bus.Messenger
	answer []byte
}

func (*nowhere) Send(bus.Message) error { return nil }

func (n *nowhere) Request(context.Context, bus.Message) (bus.Message, error) {
	return bus.Message{Data: n.answer}, nil
}

type (
	Multiply struct{ X, Y float64 }
	Output   struct{ Value float64 }
)

// BenchmarkService is what a request costs at the service, besides the bus's own part.
func BenchmarkService(b *testing.B) {
	h, err := api.Handle(func(_ context.Context, m Multiply) (Output, error) { return Output{m.X * m.Y}, nil }, nil)
	if err != nil {
		b.Fatal(err)
	}
	a, err := api.New("crunch", []*api.Handler{h}, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s := &Service{api: a, bus: &nowhere{}, ctx: ctx}
	e := &endpoint{handler: h}
	m := bus.Message{Subject: "crunch.Multiply", Reply: "_INBOX.x", Data: []byte(`{"x":1.5,"y":2.25}`)}
	b.ReportAllocs()
	for b.Loop() {
		s.request(e, m)
	}
}

// BenchmarkClient is what it costs who asks.
func BenchmarkClient(b *testing.B) {
	n := &nowhere{answer: []byte(`{"value":["crunch.Output",{"value":3.375},[]]}`)}
	data := []byte(`{"x":1.5,"y":2.25}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Request(b.Context(), n, "crunch", "Multiply", data); err != nil {
			b.Fatal(err)
		}
	}
}
