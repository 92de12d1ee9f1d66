package embed_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/key"
)

// Where an answer goes is said by whoever asks: a program that may ask services only must not write to the fleet through them.
func TestGate_ACallerCannotMakeOthersWriteForIt(t *testing.T) {
	k := key.New()
	s := start(t, k)
	operator, err := jet.Connect(t.Context(), s.URL(), &jet.Options{Ticket: ticket(k, key.Claims{Role: key.RoleOperator, ID: "o"})})
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	written := make(chan bus.Message, 10)
	if _, err := operator.Subscribe(t.Context(), "$KV.become_names.>", "", func(m bus.Message) { written <- m }); err != nil {
		t.Fatal(err)
	}
	caller, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleCaller, ID: "me"})), nats.CustomInboxPrefix(key.InboxOf(key.RoleCaller, "me")))
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	for name, claims := range map[string]key.Claims{
		"service": {Role: key.RoleService, ID: "s", Name: "service"},
		"node":    {Role: key.RoleNode, ID: "n"}, // it may write anywhere
	} {
		var log logged
		answerer, err := jet.Connect(t.Context(), s.URL(), &jet.Options{Ticket: ticket(k, claims), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer answerer.Close()
		respond := func(m bus.Message) { answerer.Publish(m.Reply, m.Data) }
		for request, listen := range map[string]func(context.Context, string, string, func(bus.Message)) (bus.Subscription, error){"Echo": answerer.Subscribe, "Ask": answerer.Serve} {
			sub, err := listen(t.Context(), name+"."+request, "q", respond)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := caller.PublishRequest(name+"."+request, "$KV.become_names.square", []byte("forged")); err != nil {
					t.Fatal(err)
				}
			}
			if m, err := caller.Request(name+"."+request, []byte("hi"), 10*time.Second); err != nil || string(m.Data) != "hi" {
				t.Errorf("%s %s: got %v, %v", name, request, m, err)
			}
			if err := sub.Drain(); err != nil { // what came before has been answered, if it is
				t.Fatal(err)
			}
		}
		if err := operator.Publish("$KV.become_names.end", nil); err != nil {
			t.Fatal(err)
		}
		if m := <-written; m.Subject != "$KV.become_names.end" {
			t.Errorf("the %s has written %s %q for a caller", name, m.Subject, m.Data)
			return
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "$KV.become_names.square") {
			t.Errorf("%s: the log is %q", name, got)
		}
	}
}

// logged is a log that may be read meanwhile.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *logged) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *logged) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
