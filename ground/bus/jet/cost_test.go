package jet_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/jet"
)

// It is not parallel: it counts what the whole process allocates.
func TestRequest_AllocatesAsABareOneDoes(t *testing.T) {
	url, ticket := embedded(t)
	server, client := connect(t, url, &jet.Options{Ticket: ticket}), connect(t, url, &jet.Options{Ticket: ticket})
	if _, err := server.Serve(t.Context(), "ours", "g", func(m bus.Message) { server.Publish(m.Reply, m.Data) }); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, nats.Token(ticket))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.QueueSubscribe("bare", "g", func(m *nats.Msg) { m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	data := []byte("data")
	objects := func(ask func() error) float64 {
		return testing.AllocsPerRun(1000, func() {
			if err := ask(); err != nil {
				t.Error(err)
			}
		})
	}
	bare := objects(func() error { _, err := nc.RequestWithContext(ctx, "bare", data); return err })
	ours := objects(func() error { _, err := client.Request(ctx, bus.Message{Subject: "ours", Data: data}); return err })
	if ours > bare {
		t.Errorf("a request allocates %v objects, a bare one %v", ours, bare)
	}
}
