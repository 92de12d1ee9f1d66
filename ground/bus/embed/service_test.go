package embed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/key"
)

// A process of a service answers requests to its name, and does nothing else.
func TestGate_AServiceAnswersToItsNameOnly(t *testing.T) {
	k := key.New()
	s := start(t, k)
	service, refused := restricted(t, s.URL(), ticket(k, key.Claims{Role: key.RoleService, ID: "s", Name: "crunch"}))
	for _, subject := range []string{"crunch.Multiply", "anything", "become.want", "$KV.become_names.x", "$SRV.PING", "_INBOX"} {
		service.Publish(subject, nil)
		refused("publish", subject)
	}
	for _, subject := range []string{">", "crunch", "crunchy.>", "become.>", "_INBOX.>", "$SRV.>", "$SRV.PING.other", "$KV.>"} {
		if _, err := service.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		service.Flush()
		refused("subscription", subject)
	}
	for _, subject := range []string{"crunch.Multiply", "$SRV.PING", "$SRV.INFO.crunch", "$SRV.STATS.crunch.s"} {
		answer := func(m *nats.Msg) { m.Respond([]byte("here")) }
		if _, err := service.QueueSubscribe(subject, "q", answer); err != nil {
			t.Fatal(err)
		}
	}
	service.Flush()
	client, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleOperator, ID: "o"})))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, subject := range []string{"crunch.Multiply", "$SRV.PING", "$SRV.INFO.crunch", "$SRV.STATS.crunch.s", "crunch.Multiply"} {
		if m, err := client.Request(subject, nil, 10*time.Second); err != nil || string(m.Data) != "here" {
			t.Errorf("%s: got %v, %v", subject, m, err)
		}
	}
	// Nor when it is asked to answer there.
	for _, subject := range []string{"become.want", "$KV.become_names.x", "$JS.API.STREAM.DELETE.become_job", "anything"} {
		if err := client.PublishRequest("crunch.Multiply", subject, nil); err != nil {
			t.Fatal(err)
		}
		refused("publish", subject)
	}
	for _, name := range []string{"", ">", "a.b", "_INBOX", "*", "$SRV", "become", "become_job"} {
		nc, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleService, ID: "s", Name: name})))
		if err == nil {
			nc.Close()
			t.Errorf("a service was let in as %q", name)
		}
	}
}

// restricted connects, and says of each operation in turn whether it was refused.
func restricted(t *testing.T, url, ticket string, opts ...nats.Option) (nc *nats.Conn, refused func(op, subject string)) {
	t.Helper()
	violations := make(chan string, 100)
	nc, err := nats.Connect(url, append(opts, nats.Token(ticket),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- strings.ToLower(err.Error()) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, func(op, subject string) {
		t.Helper()
		select {
		case v := <-violations:
			if !strings.Contains(v, op) || !strings.Contains(v, strings.ToLower(subject)) {
				t.Errorf("%s %s: %s", op, subject, v)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s %s was not refused", op, subject)
		}
	}
}

// A caller asks services, and does nothing else.
func TestGate_ACallerAsksServicesOnly(t *testing.T) {
	k := key.New()
	s := start(t, k)
	service, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleService, ID: "s", Name: "crunch"})))
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	for _, subject := range []string{"crunch.Multiply", "$SRV.PING"} {
		if _, err := service.Subscribe(subject, func(m *nats.Msg) { m.Respond([]byte("here")) }); err != nil {
			t.Fatal(err)
		}
	}
	service.Flush()
	caller, refused := restricted(t, s.URL(), ticket(k, key.Claims{Role: key.RoleCaller, ID: "me"}), nats.CustomInboxPrefix(key.InboxOf(key.RoleCaller, "me")))
	for _, subject := range []string{"crunch.Multiply", "$SRV.PING"} {
		if m, err := caller.Request(subject, nil, 10*time.Second); err != nil || string(m.Data) != "here" {
			t.Errorf("%s: got %v, %v", subject, m, err)
		}
	}
	for _, subject := range []string{"become.want", "become_job.a.run.f", "become_job.x", "become_result.a.x", "become_result.x", "become_dead.x", "$KV.become_names.x", "$O.become_code.C.x", "$JS.API.INFO", "$JS.API.STREAM.DELETE.become_job", "_INBOX.x", "_INBOX.c_other.x", "alone"} {
		caller.Publish(subject, nil)
		refused("publish", subject)
	}
	for _, subject := range []string{">", "_INBOX.>", "_INBOX.c_other.>", "crunch.>", "crunch.Multiply", "$SRV.>", "become.>", "$KV.>"} {
		if _, err := caller.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		caller.Flush()
		refused("subscription", subject)
	}
}
