//go:build linux || darwin

package service_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
)

// load asks a service all the time from several clients, and fails the test when an answer is missing.
type load struct {
	t               *testing.T
	ctx             context.Context
	url             string
	wg              sync.WaitGroup
	quit            chan struct{}
	answered, wrong atomic.Int64
	seen            chan string // the last answers
}

func (l *load) run(client *http.Transport) {
	defer client.CloseIdleConnections()
	for {
		select {
		case <-l.quit:
			return
		default:
		}
		// A POST is not tried again by itself. Of HTTP/2 it is when the server said that it did not process it,
		// which needs its body again.
		req, _ := http.NewRequestWithContext(l.ctx, http.MethodPost, l.url, strings.NewReader("x"))
		if client.Protocols.HTTP1() {
			req.GetBody = nil
		}
		res, err := client.RoundTrip(req)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err != nil || !strings.HasPrefix(string(body), "v") {
			l.wrong.Add(1)
			l.t.Errorf("%v, fresh %v: got %q, %v", client.Protocols, client.DisableKeepAlives, body, err)
			return
		}
		l.answered.Add(1)
		select {
		case l.seen <- string(body):
		default:
		}
	}
}

// until waits for an answer of a version.
func (l *load) until(want string) {
	for l.wrong.Load() == 0 {
		select {
		case got := <-l.seen:
			if got == want {
				return
			}
		case <-l.ctx.Done():
			l.t.Errorf("nobody was answered with %s", want)
			return
		case <-time.After(time.Second): // or somebody failed
		}
	}
}

// swapUnderLoad deploys many times under the load of clients, each used by two at a time.
func swapUnderLoad(t *testing.T, times int, pair *cert.Pair, clients ...*http.Transport) {
	s, f := listen(t)
	scheme := "http://"
	if s.TLS = pair != nil; s.TLS {
		scheme = "https://"
	}
	k, err := keeper.New([]keeper.Socket{{Socket: s.Socket, File: f}}, &keeper.Options{DrainWithin: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer k.Close(ctx)
	deploy := func(version int) {
		t.Helper()
		err := k.Deploy(ctx, keeper.Program{
			Path: os.Args[0], Env: env, Service: "web", Certificate: pair,
			Settings: fmt.Appendf(nil, "%q", fmt.Sprint("v", version)),
		}, 2)
		if err != nil {
			t.Fatal(err)
		}
	}
	deploy(0)
	l := &load{t: t, ctx: ctx, url: scheme + s.Addr, quit: make(chan struct{}), seen: make(chan string, 1)}
	for _, client := range clients {
		for range 2 {
			l.wg.Go(func() { l.run(client) })
		}
	}
	for version := range times {
		deploy(version + 1)
		l.until(fmt.Sprint("v", version+1))
	}
	close(l.quit)
	l.wg.Wait()
	t.Logf("%d requests, %d failed", l.answered.Load(), l.wrong.Load())
}

func transport(config *tls.Config, fresh bool, set func(*http.Protocols)) *http.Transport {
	tr := &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: fresh, Protocols: new(http.Protocols)}
	set(tr.Protocols)
	return tr
}

func TestSwap_TwentyUnderLoadFailNothing(t *testing.T) {
	swapUnderLoad(t, 20, nil, transport(nil, false, one), transport(nil, false, one), transport(nil, true, one), transport(nil, true, one))
}

func TestSwap_TwentyUnderLoadOverTLSAndHTTP2FailNothing(t *testing.T) {
	pair, config := identity(t)
	swapUnderLoad(t, 20, pair, transport(config, false, two), transport(config, true, two), transport(config, false, one), transport(config, true, one))
}

func TestSwap_OverHTTP2WithoutTLSFailsNothing(t *testing.T) {
	swapUnderLoad(t, 5, nil, transport(nil, false, plain), transport(nil, false, plain), transport(nil, false, one))
}

// shows returns the fingerprint of the certificate at an address.
func shows(t *testing.T, addr string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw := c.ConnectionState().PeerCertificates[0].Raw
	return strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(raw)), " ", ":")
}

func TestRestart_ShowsARenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	files := cert.Source{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	put := func() *cert.Pair {
		pair, _ := identity(t)
		for path, data := range map[string][]byte{files.Cert: pair.Cert, files.Key: pair.Key} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return pair
	}
	first := put()
	pair, err := files.Load("")
	if err != nil {
		t.Fatal(err)
	}
	s, f := listen(t)
	s.TLS = true
	k, err := keeper.New([]keeper.Socket{{Socket: s.Socket, File: f}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer k.Close(ctx)
	p := keeper.Program{Path: os.Args[0], Env: env, Service: "web", Certificate: pair}
	if err := k.Deploy(ctx, p, 1); err != nil {
		t.Fatal(err)
	}
	if got := shows(t, s.Addr); got != first.Fingerprint() {
		t.Errorf("got %s", got)
	}
	second := put()
	if err := k.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	oldGone := func() bool { return len(k.Status().Processes) == 1 }
	for changed := k.Changed(); !oldGone(); changed = k.Changed() {
		<-changed
	}
	if got := shows(t, s.Addr); got != second.Fingerprint() {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(files.Key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(ctx); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	if got := shows(t, s.Addr); got != second.Fingerprint() {
		t.Errorf("got %s", got)
	}
}
