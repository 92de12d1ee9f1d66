package embed_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
)

func start(t *testing.T, k *key.Key) *embed.Server {
	t.Helper()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func ticket(k *key.Key, c key.Claims) string {
	if c.Expires.IsZero() {
		c.Expires = time.Now().Add(time.Hour)
	}
	return k.Ticket(c)
}

func TestGate_RefusesWhoHasNoTicketOfTheFleet(t *testing.T) {
	k, stranger := key.New(), key.New()
	s := start(t, k)
	for name, c := range map[string]struct {
		ticket string
		want   bool
	}{
		"operator":      {ticket(k, key.Claims{Role: key.RoleOperator, ID: "o"}), true},
		"node":          {ticket(k, key.Claims{Role: key.RoleNode, ID: "n"}), true},
		"worker":        {ticket(k, key.Claims{Role: key.RoleWorker, ID: "w", Digest: "d"}), true},
		"no ticket":     {"", false},
		"nonsense":      {"nonsense", false},
		"another fleet": {ticket(stranger, key.Claims{Role: key.RoleOperator, ID: "o"}), false},
		"expired":       {ticket(k, key.Claims{Role: key.RoleOperator, ID: "o", Expires: time.Now().Add(-time.Second)}), false},
		"no role":       {ticket(k, key.Claims{ID: "o"}), false},
		"unknown role":  {ticket(k, key.Claims{Role: "admin", ID: "o"}), false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		b, err := jet.Connect(ctx, s.URL(), &jet.Options{Ticket: c.ticket})
		cancel()
		if err == nil {
			b.Close()
		}
		if c.want && err != nil || !c.want && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && c.ticket != "" && strings.Contains(err.Error(), c.ticket) {
			t.Errorf("%s: the error shows the ticket", name)
		}
	}
}

// A worker of bundle d1 asks for everything it must not have; each refusal comes
// back as a violation on its own connection, and nothing happens.
func TestGate_AWorkerReachesOnlyItsOwn(t *testing.T) {
	k := key.New()
	s := start(t, k)
	violations := make(chan string, 100)
	nc, err := nats.Connect(s.URL(), nats.Token(ticket(k, key.Claims{Role: key.RoleWorker, ID: "w1", Digest: "d1"})),
		nats.CustomInboxPrefix("_INBOX.w_w1"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			violations <- strings.ToLower(err.Error())
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	refused := func(op, subject string) {
		t.Helper()
		for {
			select {
			case v := <-violations:
				if strings.Contains(v, "permissions violation") && strings.Contains(v, strings.ToLower(op)) && strings.Contains(v, strings.ToLower(subject)) {
					return
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s %s was not refused", op, subject)
				return
			}
		}
	}
	for _, subject := range []string{
		"$JS.API.STREAM.CREATE.x", "$JS.API.STREAM.DELETE.become_job", "$JS.API.STREAM.PURGE.become_job", "$JS.API.STREAM.UPDATE.become_job",
		"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.DELETE.become_job", "$JS.API.STREAM.MSG.GET.become_job",
		"$JS.API.STREAM.SNAPSHOT.become_job", "$JS.API.CONSUMER.DELETE.become_job.c", "$JS.API.CONSUMER.DURABLE.CREATE.become_job.c",
		"$JS.API.CONSUMER.CREATE.become_job.c.become_job.d2.run.>", "$JS.API.CONSUMER.CREATE.become_job.c.become_job.>",
		"$KV.become_names.crunch", "$KV.become_bundles.d1", "$O.become_code.C.x", "become_result.d2.1", "become_dead.d2.1",
		"$SYS.REQ.SERVER.PING", "anything",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused("publish", subject)
	}
	for _, subject := range []string{
		">", "_INBOX.>", "_INBOX.w_w2.>", "_INBOX.w_w1x", "become_job.>", "become_job.d1.>", "become.cancel.d2", "become.cancel.*", "$JS.ACK.>", "$JS.API.>", "$KV.>", "$KV.become_names.>", "$SYS.>", "become.>",
	} {
		sub, err := nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		nc.Flush()
		refused("subscription", subject)
		sub.Unsubscribe()
	}
	for _, subject := range []string{"_INBOX.w_w1.>", "become.cancel.d1"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
	}
	nc.Flush()
	select {
	case v := <-violations:
		t.Errorf("what it needs was refused: %s", v)
	default:
	}
}

// Another worker's messages do not come through either.
func TestGate_AWorkerHearsNoOthersAnswers(t *testing.T) {
	k := key.New()
	s := start(t, k)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	open := func(c key.Claims, inbox string) bus.Bus {
		b, err := jet.Connect(ctx, s.URL(), &jet.Options{Ticket: ticket(k, c), InboxPrefix: inbox})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	operator := open(key.Claims{Role: key.RoleOperator, ID: "o"}, "")
	spy := open(key.Claims{Role: key.RoleWorker, ID: "w1", Digest: "d1"}, "_INBOX.w_w1")
	victim := open(key.Claims{Role: key.RoleWorker, ID: "w2", Digest: "d2"}, "_INBOX.w_w2")
	heard := make(chan string, 10)
	for _, pattern := range []string{">", "_INBOX.>", "_INBOX.w_w2.>"} {
		spy.Subscribe(t.Context(), pattern, "", func(m bus.Message) { heard <- m.Subject })
	}
	inbox := victim.Inbox()
	if !strings.HasPrefix(inbox, "_INBOX.w_w2.") {
		t.Fatalf("inbox is %s", inbox)
	}
	got := make(chan struct{}, 1)
	if _, err := victim.Subscribe(t.Context(), inbox, "", func(bus.Message) { got <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	if err := operator.Publish(inbox, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	<-got
	mark := spy.Inbox()
	if _, err := spy.Subscribe(t.Context(), mark, "", func(m bus.Message) { heard <- "mark" }); err != nil {
		t.Fatal(err)
	}
	operator.Publish(mark, nil)
	if first := <-heard; first != "mark" {
		t.Errorf("the spy heard %s", first)
	}
}

func TestStart_BeyondLoopbackSpeaksTLSOfTheFleet(t *testing.T) {
	k := key.New()
	s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: k, Name: "n", Listen: "0.0.0.0:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if !strings.HasPrefix(s.URL(), "tls://") {
		t.Fatalf("url is %s", s.URL())
	}
	url := "tls://127.0.0.1:" + s.URL()[strings.LastIndexByte(s.URL(), ':')+1:]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	mine := ticket(k, key.Claims{Role: key.RoleOperator, ID: "o"})
	b, err := jet.Connect(ctx, url, &jet.Options{Ticket: mine, Public: k.Public().String()})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := jet.Connect(ctx, url, &jet.Options{Ticket: mine, Public: key.New().Public().String()}); err == nil {
		t.Error("a client of another fleet trusts the server")
	}
	if b, err := jet.Connect(ctx, strings.Replace(url, "tls", "nats", 1), &jet.Options{Ticket: mine}); err == nil {
		b.Close()
		t.Error("a client that trusts nobody in particular got in")
	}
}

func TestStart_SaysWhatIsWrong(t *testing.T) {
	k := key.New()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opts embed.Options
		want fault.Kind
	}{
		"no folder":    {embed.Options{Key: k}, fault.Invalid},
		"no key":       {embed.Options{Dir: t.TempDir()}, fault.Invalid},
		"no port":      {embed.Options{Dir: t.TempDir(), Key: k, Listen: "127.0.0.1"}, fault.Invalid},
		"bad port":     {embed.Options{Dir: t.TempDir(), Key: k, Listen: "127.0.0.1:99999"}, fault.Invalid},
		"a file":       {embed.Options{Dir: file, Key: k}, fault.Internal},
		"a taken port": {embed.Options{Dir: t.TempDir(), Key: k, Listen: taken.Addr().String()}, fault.Busy},
	} {
		s, err := embed.Start(c.opts)
		if err == nil {
			s.Shutdown()
		}
		if fault.KindOf(err) != c.want || err == nil {
			t.Errorf("%s: %v, want a %v error", name, err, c.want)
		}
	}
}

// At the level of debugging the bus says where it is, and not what its server does.
func TestServer_IsQuietBelowWarnings(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelDebug: false, embed.LevelTrace: true} {
		var out bytes.Buffer
		s, err := embed.Start(embed.Options{Dir: t.TempDir(), Key: key.New(), Name: "n", Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))})
		if err != nil {
			t.Fatal(err)
		}
		s.Shutdown()
		if lines := strings.Count(out.String(), "\n"); !strings.Contains(out.String(), s.URL()) || (lines > 1) != want {
			t.Errorf("at %v it said:\n%s", level, &out)
		}
	}
}

func TestServer_KeepsWhatItHadOverARestart(t *testing.T) {
	k, dir := key.New(), t.TempDir()
	for i := range 3 {
		s, err := embed.Start(embed.Options{Dir: dir, Key: k, Name: "n"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		b, err := jet.Connect(ctx, s.URL(), &jet.Options{Ticket: ticket(k, key.Claims{Role: key.RoleOperator, ID: "o"})})
		if err != nil {
			t.Fatal(err)
		}
		kv, err := b.KV(ctx, bus.Spec{Name: "kv"})
		if err != nil {
			t.Fatal(err)
		}
		e, err := kv.Get(ctx, "k")
		if i > 0 && (err != nil || string(e.Value) != fmt.Sprint(i-1)) {
			t.Errorf("start %d: got %q, %v", i, e.Value, err)
		}
		if _, err := kv.Put(ctx, "k", fmt.Append(nil, i)); err != nil {
			t.Error(err)
		}
		b.Close()
		cancel()
		s.Shutdown()
		s.Shutdown()
		select {
		case <-s.Done():
		default:
			t.Error("it is not done")
		}
	}
}
