package service_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

func TestManners_ConnectionsAboveTheRateWait(t *testing.T) {
	const never = 1e-6
	r := start(t, "tcp", service.Service{
		Manners: manners.Manners{AcceptRate: never, AcceptBurst: 2}, Serve: service.Conn(lines, nil),
	}, 0)
	var served []net.Conn
	for range 2 {
		c, reader := dial(t, r.addr)
		expect(t, reader, "hello")
		served = append(served, c)
	}
	third, reader := dial(t, r.addr)
	greeted := make(chan string, 1)
	go func() { text, _ := reader.ReadString('\n'); greeted <- text }()
	for _, c := range served { // who is in is served on
		back := bufio.NewReader(c)
		for range 100 {
			io.WriteString(c, "x\n")
			expect(t, back, "x")
		}
		c.Close()
	}
	select {
	case text := <-greeted:
		t.Errorf("the third got %q", text)
	default:
	}
	r.stop()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	third.Close()
}

func TestManners_TheRateLetsEverybodyInInTheEnd(t *testing.T) {
	r := start(t, "tcp", service.Service{
		Manners: manners.Manners{AcceptRate: 100, AcceptBurst: 1}, Serve: service.Conn(lines, nil),
	}, 0)
	for range 10 {
		c, reader := dial(t, r.addr)
		expect(t, reader, "hello")
		c.Close()
	}
}

func TestManners_WhoRunsAProgramGoesFirst(t *testing.T) {
	sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	own := manners.Manners{IdleMS: 3_600_000}
	go func() {
		over <- service.Run(ctx, service.Service{
			Name: "test", Kind: service.Connections, Manners: own, Serve: service.Conn(lines, nil),
		}, []*socket.Socket{sock}, &service.Options{Manners: manners.Manners{IdleMS: 1}})
	}()
	_, reader := dial(t, sock.Addr)
	expect(t, reader, "hello")
	if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestManners_ThatMeanNothingAreRefused(t *testing.T) {
	packets := service.EachPacket(func(context.Context, net.PacketConn) error { return nil })
	for _, c := range []struct {
		s      service.Service
		asked  manners.Manners
		reason string
	}{
		{service.Service{Serve: service.Conn(lines, nil)}, manners.Manners{MaxBody: 1}, "it does not serve HTTP"},
		{service.Service{Kind: service.Packets, Serve: packets}, manners.Manners{IdleMS: 1}, "it serves packets"},
		{service.Service{Serve: service.Conn(lines, nil), Manners: manners.Manners{AcceptBurst: 1}}, manners.Manners{}, "needs an accept rate"},
	} {
		sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		c.s.Name = "test"
		err = service.Run(t.Context(), c.s, []*socket.Socket{sock}, &service.Options{Manners: c.asked})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got %v, want %q", err, c.reason)
		}
	}
}

// web starts an HTTP service that says how many bytes of a body it got.
func web(t *testing.T, m manners.Manners) running {
	return start(t, "tcp", service.Service{
		Kind: service.Requests, Manners: m,
		Serve: service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
				w.WriteHeader(http.StatusTeapot)
			}
			io.WriteString(w, strings.Repeat("x", int(n)))
		}), service.HTTPOptions{}),
	}, 0)
}

// asks sends text and returns the status of the answer.
func asks(t *testing.T, addr, text string) int {
	t.Helper()
	c, reader := dial(t, addr)
	defer c.Close()
	go io.WriteString(c, text) // it may be refused in the middle
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestManners_LongBodiesAndHeadersAreRefused(t *testing.T) {
	r := web(t, manners.Manners{MaxBody: 10, MaxHeader: 1000})
	const post = "POST / HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct {
		text string
		want int
	}{
		{post + "Content-Length: 10\r\n\r\n0123456789", 200},
		{post + "Content-Length: 11\r\n\r\n0123456789x", 413},
		{post + "Content-Length: 1000000000000\r\n\r\n", 413},
		{post + "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n", 413},
		{post + "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", 200},
		{post + "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n", 418},
		{post + "X: " + strings.Repeat("x", 10_000) + "\r\n\r\n", 431},
	} {
		if got := asks(t, r.addr, c.text); got != c.want {
			t.Errorf("%.60q...: got %d, want %d", c.text, got, c.want)
		}
	}
}

func TestManners_SlowAndSilentPeersAreClosed(t *testing.T) {
	r := web(t, manners.Manners{HeaderMS: 20, IdleMS: 20})
	for _, text := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n"} {
		c, reader := dial(t, r.addr)
		io.WriteString(c, text)
		if rest, err := io.ReadAll(reader); err != nil {
			t.Errorf("%q: got %q, %v", text, rest, err)
		}
	}
	c, reader := dial(t, r.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after its request: got %v", err)
	}
}

func TestManners_NoneIsForEver(t *testing.T) {
	r := web(t, manners.Manners{HeaderMS: manners.None, IdleMS: manners.None, ReadMS: 1})
	// A read timeout would otherwise be taken for both. It is over when the second connection is.
	waits, reader := dial(t, r.addr)
	io.WriteString(waits, "GET / HTTP/1.1\r\n")
	c, _ := dial(t, r.addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
	io.ReadAll(c)
	waits.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(waits, "Host: x\r\n\r\n")
	if res, err := http.ReadResponse(reader, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("got %v, %v", res, err)
	}
}
