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
	violations := make(chan string, 100)
	service, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleService, ID: "s", Name: "crunch"})),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- strings.ToLower(err.Error()) }))
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	refused := func(op, subject string) {
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
	for _, subject := range []string{"crunch.Multiply", "anything", "become.want", "$KV.become_names.x", "$SRV.PING", "_INBOX.x"} {
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
	for _, name := range []string{"", ">", "a.b", "_INBOX", "*", "$SRV"} {
		nc, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleService, ID: "s", Name: name})))
		if err == nil {
			nc.Close()
			t.Errorf("a service was let in as %q", name)
		}
	}
}
