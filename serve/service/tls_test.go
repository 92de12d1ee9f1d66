package service_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// identity is a certificate for this machine, and a client's view of it.
func identity(t *testing.T) (*cert.Pair, *tls.Config) {
	t.Helper()
	pair, err := cert.Source{Self: true}.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pair.Cert)
	return pair, &tls.Config{RootCAs: roots}
}

func startTLS(t *testing.T, s service.Service, within time.Duration) (running, *tls.Config) {
	t.Helper()
	pair, client := identity(t)
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	at := socket.Address{Network: "tcp", Addr: "127.0.0.1:0", TLS: true}
	return startAt(t, at, s, service.Options{DrainWithin: within, Certificate: &certificate}), client
}

func dialTLS(t *testing.T, addr string, config *tls.Config) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c, bufio.NewReader(c)
}

// badPeers connects peers of all bad sorts, which stay.
func badPeers(t *testing.T, addr string) {
	t.Helper()
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half", strings.Repeat("\xff", 1<<20)} {
		c, _ := dial(t, addr)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(c, text) // it is not read to its end
	}
	gone, _ := dial(t, addr)
	gone.(*net.TCPConn).SetLinger(0) // with a reset
	io.WriteString(gone, "\x16\x03\x01")
	gone.Close()
}

func TestTLS_ConnectionsComeAfterTheirHandshake(t *testing.T) {
	r, client := startTLS(t, service.Service{Serve: service.Conn(lines, nil)}, 0)
	badPeers(t, r.addr)
	for range 3 {
		c, reader := dialTLS(t, r.addr, client)
		expect(t, reader, "hello")
		io.WriteString(c, "inside\n")
		expect(t, reader, "inside")
		if s := c.ConnectionState(); s.Version != tls.VersionTLS13 || s.NegotiatedProtocol != "" {
			t.Errorf("got %x, %q", s.Version, s.NegotiatedProtocol)
		}
		c.Close()
	}
	old := client.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	if _, err := tls.Dial("tcp", r.addr, old); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func TestTLS_LimitsCountBelowItAndTimesAbove(t *testing.T) {
	r, client := startTLS(t, service.Service{
		Kind: service.Connections, Manners: manners.Manners{MaxConns: 1, IdleMS: 30}, Serve: service.Conn(lines, nil),
	}, 0)
	for range 2 { // each of them is alone, and is closed
		_, reader := dialTLS(t, r.addr, client)
		expect(t, reader, "hello")
		if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	}
}

func TestTLS_AHandshakeUnderWayIsFinishedInTheDrain(t *testing.T) {
	r, client := startTLS(t, service.Service{Serve: service.Conn(lines, nil)}, time.Minute)
	raw, _ := dial(t, r.addr)
	_, reader := dialTLS(t, r.addr, client) // which is accepted after the other
	expect(t, reader, "hello")
	r.stop()
	untilRefused(r.addr)
	client.ServerName = "localhost"
	late := tls.Client(raw, client)
	if err := late.Handshake(); err != nil {
		t.Fatal(err)
	}
	expect(t, bufio.NewReader(late), "hello")
}

// untilRefused waits until nobody listens at an address any more.
func untilRefused(addr string) {
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
	}
}

func TestTLS_BadPeersHoldUpNoDrainForLong(t *testing.T) {
	r, _ := startTLS(t, service.Service{Serve: service.Conn(lines, nil)}, 10*time.Millisecond)
	dial(t, r.addr)
	badPeers(t, r.addr)
	r.stop()
	if err := <-r.over; err != nil && fault.KindOf(err) != fault.Deadline {
		t.Error(err)
	}
}

func TestTLS_NeedsACertificateAndConnections(t *testing.T) {
	for network, want := range map[string]string{"tcp": "there is no certificate", "udp": "there is no certificate"} {
		sock, err := socket.Open(t.Context(), socket.Address{Network: network, Addr: "127.0.0.1:0", TLS: true})
		if err != nil {
			t.Fatal(err)
		}
		err = service.Run(t.Context(), service.Service{Name: "x", Serve: service.Conn(lines, nil)}, []*socket.Socket{sock}, nil)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v", err)
		}
	}
}

// proto is an HTTP service that answers with the protocol it was asked in. It waits where told so.
func proto(inside chan<- struct{}, goOn <-chan struct{}) service.Service {
	return service.Service{Kind: service.Requests, Serve: service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside <- struct{}{}
			<-goOn
		}
		io.WriteString(w, r.Proto)
	}), service.HTTPOptions{Grace: time.Hour})}
}

func get(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// over returns a client that speaks one protocol.
func over(t *testing.T, config *tls.Config, set func(*http.Protocols)) *http.Client {
	tr := &http.Transport{TLSClientConfig: config.Clone(), Protocols: new(http.Protocols)}
	set(tr.Protocols)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func one(p *http.Protocols)   { p.SetHTTP1(true) }
func two(p *http.Protocols)   { p.SetHTTP2(true) }
func plain(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }

func TestHTTP2_WithTLSAndWithout(t *testing.T) {
	secure, config := startTLS(t, proto(nil, nil), 0)
	open := start(t, "tcp", proto(nil, nil), 0)
	badPeers(t, secure.addr)
	for _, c := range []struct {
		url, want string
		set       func(*http.Protocols)
	}{
		{"https://" + secure.addr, "HTTP/2.0", two}, {"https://" + secure.addr, "HTTP/1.1", one},
		{"http://" + open.addr, "HTTP/2.0", plain}, {"http://" + open.addr, "HTTP/1.1", one},
	} {
		if got, err := get(over(t, config, c.set), c.url); got != c.want {
			t.Errorf("%s: got %q, %v, want %s", c.url, got, err, c.want)
		}
	}
}

func TestHTTP2_IsToldToGoAwayWithoutLosingARequest(t *testing.T) {
	for _, c := range []struct {
		scheme string
		set    func(*http.Protocols)
	}{{"https", two}, {"http", plain}} {
		inside, goOn := make(chan struct{}), make(chan struct{})
		var r running
		var config *tls.Config
		if c.scheme == "https" {
			r, config = startTLS(t, proto(inside, goOn), time.Hour)
		} else {
			r = start(t, "tcp", proto(inside, goOn), time.Hour)
		}
		idle, busy := over(t, config, c.set), over(t, config, c.set)
		if _, err := get(idle, c.scheme+"://"+r.addr); err != nil {
			t.Fatal(err)
		}
		answered := make(chan string, 1)
		go func() {
			got, err := get(busy, c.scheme+"://"+r.addr+"/slow")
			if err != nil {
				got = err.Error()
			}
			answered <- got
		}()
		<-inside
		r.stop()
		untilRefused(r.addr)
		close(goOn)
		if got := <-answered; got != "HTTP/2.0" {
			t.Errorf("got %q", got)
		}
		// Idle or not, no connection stays for the grace of an hour.
		if err := <-r.over; err != nil {
			t.Error(err)
		}
	}
}
