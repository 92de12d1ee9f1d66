package key_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
)

func TestParse_ReadsWhatStringWrote(t *testing.T) {
	k := key.New()
	again, err := key.Parse("\n " + k.String() + " \n")
	if err != nil || again.String() != k.String() {
		t.Errorf("got %v, %v", again, err)
	}
	p, err := key.ParsePublic(k.Public().String())
	if err != nil || p.String() != k.Public().String() {
		t.Errorf("got %v, %v", p, err)
	}
	if key.New().String() == k.String() {
		t.Error("two keys are the same")
	}
}

func TestParse_RefusesWhatIsNoKey(t *testing.T) {
	k := key.New()
	text := k.String()
	for name, bad := range map[string]string{
		"empty": "", "prefix only": text[:13], "cut": text[:len(text)-1], "longer": text + "A", "other prefix": "x" + text,
		"not base64": text[:len(text)-2] + "!!", "padding": text + "=", "inner space": text[:20] + " " + text[20:],
		"public": k.Public().String(), "huge": text + strings.Repeat("A", 1<<20), "two": text + "\n" + text,
	} {
		if _, err := key.Parse(bad); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), text[15:30]) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	if _, err := key.ParsePublic(text); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("a secret was taken for public: %v", err)
	}
}

func TestKey_IsNeverPrinted(t *testing.T) {
	k := key.New()
	secret := strings.TrimPrefix(k.String(), "become-key-1:")
	type options struct {
		Name string
		Key  *key.Key
	}
	o := options{"n", k}
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	l.Info("x", "key", k, "options", o, "pointer", &o)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "options", o)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&log, format+"\n", k)
		fmt.Fprintf(&log, format+"\n", o)
		fmt.Fprintf(&log, format+"\n", *k)
	}
	fmt.Fprintln(&log, k, o, []*key.Key{k})
	if strings.Contains(log.String(), secret) || strings.Contains(log.String(), fmt.Sprintf("%x", secret)) {
		t.Errorf("the secret is in\n%s", log.String())
	}
}

func TestSave_WritesOnceAndForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := key.New()
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := key.New().Save(path); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a key was overwritten: %v", err)
	}
	again, err := key.Load(path)
	if err != nil || again.String() != k.String() {
		t.Errorf("another key came back: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if err := k.Save(filepath.Join(path, "x")); err == nil {
		t.Error("saved into a file")
	}
}

func TestLoad_RefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := key.New().String()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want fault.Kind
	}{
		"missing":         {filepath.Join(dir, "missing"), fault.NotFound},
		"others may read": {write("group", text, 0o640), fault.Denied},
		"all may read":    {write("all", text, 0o604), fault.Denied},
		"empty":           {write("empty", "", 0o600), fault.Invalid},
		"nonsense":        {write("nonsense", "hello", 0o600), fault.Invalid},
		"huge":            {write("huge", text+strings.Repeat("\n", 1<<20), 0o600), fault.Invalid},
		"a folder":        {filepath.Join(dir, "folder"), fault.Invalid},
	} {
		_, err := key.Load(c.path)
		if err == nil || fault.KindOf(err) != c.want {
			t.Errorf("%s: %v, want a %v error", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), text[15:30]) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

func TestSign_IsForOnePurposeAndOneMessage(t *testing.T) {
	k, other := key.New(), key.New()
	msg := []byte("message")
	sig := k.Sign("bundle", msg)
	if !k.Public().Verify("bundle", msg, sig) {
		t.Fatal("its own signature is refused")
	}
	for name, ok := range map[string]bool{
		"other purpose":    k.Public().Verify("ticket", msg, sig),
		"other message":    k.Public().Verify("bundle", []byte("massage"), sig),
		"other key":        other.Public().Verify("bundle", msg, sig),
		"no signature":     k.Public().Verify("bundle", msg, nil),
		"cut":              k.Public().Verify("bundle", msg, sig[:63]),
		"no key":           key.Public{}.Verify("bundle", msg, sig),
		"moved border":     k.Public().Verify("bundl", []byte("emessage"), sig),
		"purpose with 0":   k.Public().Verify("bundle\x00m", []byte("essage"), sig),
		"flipped last bit": k.Public().Verify("bundle", msg, append(bytes.Clone(sig[:63]), sig[63]^1)),
	} {
		if ok {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestTicket_SaysWhoAndUntilWhen(t *testing.T) {
	k := key.New()
	now := time.Now()
	want := key.Claims{Role: key.RoleWorker, ID: "w1", Digest: "abc", Expires: now.Add(time.Hour).Round(0)}
	ticket := k.Ticket(want)
	got, err := k.Public().CheckTicket(ticket, now)
	if err != nil || got.Role != want.Role || got.ID != want.ID || got.Digest != want.Digest || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, %v", got, err)
	}
	body, sig, _ := strings.Cut(ticket, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"role":"operator","id":"w1","exp":"2999-01-01T00:00:00Z"}`))
	bundleSig := base64.RawURLEncoding.EncodeToString(k.Sign("bundle", []byte(`{"role":"operator","id":"x","exp":"2999-01-01T00:00:00Z"}`)))
	for name, bad := range map[string]string{
		"none": "", "no dot": body, "no signature": body + ".", "no body": "." + sig, "dot": ".", "other body": forged + "." + sig,
		"another fleet": key.New().Ticket(want), "expired": k.Ticket(key.Claims{Role: key.RoleOperator, Expires: now.Add(-time.Nanosecond)}),
		"never valid": k.Ticket(key.Claims{Role: key.RoleOperator}), "huge": strings.Repeat("A", 1<<20) + "." + sig,
		"other purpose": forged + "." + bundleSig, "twice": ticket + "." + sig, "newline": ticket[:10] + "\n" + ticket[10:],
	} {
		if c, err := k.Public().CheckTicket(bad, now); fault.KindOf(err) != fault.Denied || err == nil || c != (key.Claims{}) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := (key.Public{}).CheckTicket(ticket, now); fault.KindOf(err) != fault.Denied {
		t.Errorf("no key: %v", err)
	}
}

// shake connects a client of one fleet to a server.
func shake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		defer b.Close()
		done <- tls.Server(b, server).HandshakeContext(t.Context())
	}()
	c := tls.Client(a, client)
	err := c.HandshakeContext(t.Context())
	a.Close()
	<-done
	return err
}

func TestTLS_TrustsServersOfItsFleetAlone(t *testing.T) {
	k, other := key.New(), key.New()
	mine, err := k.ServerTLS("127.0.0.1", "host.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(t, k.Public().ClientTLS(), mine); err != nil {
		t.Errorf("its own server: %v", err)
	}
	if err := shake(t, other.Public().ClientTLS(), mine); fault.KindOf(err) != fault.Denied {
		t.Errorf("a server of another fleet: %v", err)
	}
	// A stranger's certificate with this fleet's authority beside it: known to all
	// who ever connected, and signed nothing of the stranger's.
	theirs, err := other.ServerTLS("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	chain := theirs.Certificates[0]
	chain.Certificate = [][]byte{chain.Certificate[0], mine.Certificates[0].Certificate[1]}
	theirs.Certificates = []tls.Certificate{chain}
	if err := shake(t, k.Public().ClientTLS(), theirs); fault.KindOf(err) != fault.Denied {
		t.Errorf("a borrowed authority: %v", err)
	}
	alone := mine.Certificates[0]
	alone.Certificate = alone.Certificate[:1]
	if err := shake(t, k.Public().ClientTLS(), &tls.Config{Certificates: []tls.Certificate{alone}}); fault.KindOf(err) != fault.Denied {
		t.Errorf("no authority: %v", err)
	}
	old := mine.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := shake(t, k.Public().ClientTLS(), old); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if err := k.Public().ClientTLS().VerifyConnection(tls.ConnectionState{}); fault.KindOf(err) != fault.Denied {
		t.Errorf("no certificate: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	k := key.New()
	f.Add(k.String())
	f.Add(k.Public().String())
	f.Add("become-key-1:")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := key.Parse(text); err == nil && k.String() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, k.String())
		}
		if p, err := key.ParsePublic(text); err == nil && p.String() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, p.String())
		}
	})
}

func FuzzCheckTicket(f *testing.F) {
	k := key.New()
	now := time.Unix(1_800_000_000, 0)
	good := k.Ticket(key.Claims{Role: key.RoleNode, ID: "n", Expires: now.Add(time.Hour)})
	f.Add(good)
	f.Add("a.b")
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, ticket string) {
		if _, err := k.Public().CheckTicket(ticket, now); err == nil && ticket != good {
			t.Errorf("%q is valid", ticket)
		}
	})
}
