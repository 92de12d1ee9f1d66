package cert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

func made(t *testing.T, dir string, hosts ...string) *Pair {
	t.Helper()
	p, err := Source{Self: true}.Load(dir, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSelfMade_ServesAClientThatTrustsIt(t *testing.T) {
	p := made(t, t.TempDir(), "Example.test", "192.0.2.7", "127.0.0.1", "")
	if got, want := p.Hosts(), []string{"example.test", "localhost", "127.0.0.1", "192.0.2.7", "::1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	identity, err := p.TLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{identity}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.Cert)
	for _, host := range []string{"", "localhost", "example.test", "192.0.2.7"} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: host})
		if err != nil {
			t.Errorf("%q: %v", host, err)
			continue
		}
		if got, err := io.ReadAll(c); string(got) != "hello" {
			t.Errorf("%q: got %q, %v", host, got, err)
		}
		c.Close()
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "other.test"}); err == nil {
		t.Error("it is for any host")
	}
}

func TestSelfMade_StaysTheSameForEverybody(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	prints := make([]string, 8)
	for i := range prints {
		wg.Go(func() {
			if p, err := (Source{Self: true}).Load(dir); err == nil {
				prints[i] = p.Fingerprint()
			}
		})
	}
	wg.Wait()
	if got := slices.Compact(prints); len(got) != 1 || len(got[0]) != 32*3-1 {
		t.Errorf("got %q", got)
	}
	if other := made(t, dir, "example.test"); other.Fingerprint() == prints[0] {
		t.Error("one certificate for all hosts")
	}
	if again := made(t, dir, "LOCALHOST"); again.Fingerprint() != prints[0] {
		t.Error("it is another one now")
	}
	h, err := home.Open(dir) // the node still takes its home
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	made(t, dir)
}

func TestSelfMade_IsForItsUserOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	dir := t.TempDir()
	key := filepath.Join(filepath.Dir(made(t, dir).Path), keyName)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	os.Chmod(dir, 0o777)
	if _, err := (Source{Self: true}).Load(dir); fault.KindOf(err) != fault.Denied {
		t.Errorf("got %v", err)
	}
}

func TestSelfMade_IsMadeAgainWhenOldOrDamaged(t *testing.T) {
	dir := t.TempDir()
	first := made(t, dir)
	soon := time.Now().Add(validFor - renewAhead + time.Minute)
	second, err := selfMade(dir, nil, soon)
	if err != nil || second.Fingerprint() == first.Fingerprint() {
		t.Errorf("got the same, %v", err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(second.Path), keyName), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := made(t, dir); third.Fingerprint() == second.Fingerprint() || third.Warning(time.Now()) != "" {
		t.Errorf("got %q", third.Warning(time.Now()))
	}
}

func TestWarning(t *testing.T) {
	p := made(t, t.TempDir())
	end := p.NotAfter()
	for now, want := range map[time.Time]string{
		end.Add(-15 * 24 * time.Hour):      "",
		end.Add(-10*24*time.Hour - 1):      "ends in 10 days, on " + end.Format(time.DateOnly),
		end.Add(time.Hour):                 "ended on",
		end.Add(-2 * 365 * 24 * time.Hour): "not valid before",
	} {
		if got := p.Warning(now); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: got %q, want %q", now, got, want)
		}
	}
}

func TestLoad_SaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	one, two := made(t, dir), made(t, dir, "other.test")
	keyOf := func(p *Pair) string { return filepath.Join(filepath.Dir(p.Path), keyName) }
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	for _, c := range []struct {
		source Source
		kind   fault.Kind
		text   string
	}{
		{Source{Cert: one.Path, Key: keyOf(two)}, fault.Invalid, "private key does not match public key"},
		{Source{Cert: one.Path, Key: file("locked", locked)}, fault.Invalid, "the key needs a password"},
		{Source{Cert: file("empty", nil), Key: keyOf(one)}, fault.Invalid, "failed to find any PEM data"},
		{Source{Cert: keyOf(one), Key: one.Path}, fault.Invalid, "may have been switched"},
		{Source{Cert: file("big", bytes.Repeat([]byte("x"), maxFile+1)), Key: keyOf(one)}, fault.Invalid, "more than"},
		{Source{Cert: filepath.Join(dir, "none"), Key: keyOf(one)}, fault.NotFound, "no such file"},
		{Source{Cert: dir, Key: keyOf(one)}, fault.Invalid, "directory"},
		{Source{Cert: one.Path}, fault.Invalid, "needs its key"},
		{Source{Key: one.Path}, fault.Invalid, "needs its certificate"},
		{Source{Key: one.Path, Cert: one.Path, Self: true}, fault.Invalid, "not both"},
		{Source{}, fault.Invalid, "there is none"},
	} {
		_, err := c.source.Load(dir)
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: got %v, want %q", c.source, err, c.text)
		}
	}
	got, err := Source{Cert: one.Path, Key: keyOf(one)}.Load(dir)
	if err != nil || got.Fingerprint() != one.Fingerprint() {
		t.Errorf("got %v", err)
	}
}

func FuzzTLS(f *testing.F) {
	dir := f.TempDir()
	p, err := Source{Self: true}.Load(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Cert, p.Key)
	f.Add([]byte("x"), []byte(nil))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		p := Pair{Cert: cert, Key: key}
		_, err := p.TLS()
		if err == nil && (p.Fingerprint() == "" || p.NotAfter().IsZero()) {
			t.Error("a good pair without a leaf")
		}
		if err != nil && (p.Fingerprint() != "" || p.Hosts() != nil || fault.KindOf(err) != fault.Invalid) {
			t.Errorf("got %v", err)
		}
	})
}
