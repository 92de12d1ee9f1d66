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

// running is a service under test on one socket.
type running struct {
	addr string
	stop func()
	over chan error
}

func start(t *testing.T, network string, s service.Service, within time.Duration) running {
	t.Helper()
	return startAt(t, socket.Address{Network: network, Addr: "127.0.0.1:0"}, s, service.Options{DrainWithin: within})
}

func startAt(t *testing.T, at socket.Address, s service.Service, o service.Options) running {
	t.Helper()
	sock, err := socket.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := running{addr: sock.Addr, stop: cancel, over: make(chan error, 1)}
	ready, ended := make(chan struct{}), make(chan struct{})
	if s.Name == "" {
		s.Name = "test"
	}
	go func() {
		defer close(ended)
		o.OnReady = func() { close(ready) }
		r.over <- service.Run(ctx, s, []*socket.Socket{sock}, &o)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-ready:
	case err := <-r.over:
		t.Fatalf("it ended: %v", err)
	}
	return r
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // a broken test must end
	return c, bufio.NewReader(c)
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if got, err := r.ReadString('\n'); got != want+"\n" {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// lines answers each line with itself; "panic" and "error" are what they say.
func lines(_ context.Context, c net.Conn) error {
	io.WriteString(c, "hello\n")
	for s := bufio.NewScanner(c); s.Scan(); {
		switch s.Text() {
		case "panic":
			panic("boom")
		case "error":
			return errors.New("no")
		}
		if _, err := io.WriteString(c, s.Text()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func TestConn_APanicEndsItsConnectionOnly(t *testing.T) {
	r := start(t, "tcp", service.Service{Serve: service.Conn(lines, nil)}, 0)
	stays, reader := dial(t, r.addr)
	expect(t, reader, "hello")
	for _, word := range []string{"panic\n", "error\n"} {
		c, cr := dial(t, r.addr)
		expect(t, cr, "hello")
		io.WriteString(c, word)
		if rest, err := io.ReadAll(cr); len(rest) != 0 || err != nil {
			t.Errorf("got %q, %v", rest, err)
		}
	}
	io.WriteString(stays, "still here\n")
	expect(t, reader, "still here")
	stays.Close()
	r.stop()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
}

func TestRun_DrainsWhatIsOpenAndTakesNoMore(t *testing.T) {
	draining := make(chan struct{})
	r := start(t, "tcp", service.Service{Serve: service.Conn(func(ctx context.Context, c net.Conn) error {
		context.AfterFunc(ctx, func() { close(draining) })
		return lines(ctx, c)
	}, nil)}, time.Minute)
	c, reader := dial(t, r.addr)
	expect(t, reader, "hello")
	r.stop()
	<-draining
	io.WriteString(c, "finish this\n")
	expect(t, reader, "finish this")
	select {
	case err := <-r.over:
		t.Fatalf("it left an open connection: %v", err)
	default:
	}
	c.Close()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("it still listens")
	}
}

func TestRun_ClosesAPeerThatNeverReadsAtTheDeadline(t *testing.T) {
	full := make(chan struct{})
	r := start(t, "tcp", service.Service{Serve: service.Conn(func(_ context.Context, c net.Conn) error {
		close(full)
		for data := make([]byte, 1<<20); ; {
			if _, err := c.Write(data); err != nil {
				return err
			}
		}
	}, nil)}, time.Millisecond)
	dial(t, r.addr)
	<-full
	r.stop()
	if err := <-r.over; fault.KindOf(err) != fault.Deadline {
		t.Errorf("got %v", err)
	}
}

func TestRun_KeepsConnectionsAboveTheLimitWaiting(t *testing.T) {
	r := start(t, "tcp", service.Service{Manners: manners.Manners{MaxConns: 2}, Serve: service.Conn(lines, nil)}, 0)
	var first []net.Conn
	for range 2 {
		c, reader := dial(t, r.addr)
		expect(t, reader, "hello")
		first = append(first, c)
	}
	third, reader := dial(t, r.addr)
	greeted := make(chan string, 1)
	go func() { text, _ := reader.ReadString('\n'); greeted <- text }()
	// The first are served on while the third waits.
	for _, c := range first {
		io.WriteString(c, "x\n")
		expect(t, bufio.NewReader(c), "x")
	}
	select {
	case text := <-greeted:
		t.Fatalf("the third got %q", text)
	default:
	}
	first[0].Close()
	if text := <-greeted; text != "hello\n" {
		t.Errorf("got %q", text)
	}
	third.Close()
	first[1].Close()
}

func TestRun_TakesNothingBeforeItsProbe(t *testing.T) {
	sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	pass, ctx := make(chan struct{}), t.Context()
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan error, 1)
	go func() {
		over <- service.Run(ctx, service.Service{
			Name: "slow", Serve: service.Conn(lines, nil),
			Ready: func(context.Context) error { <-pass; return nil },
		}, []*socket.Socket{sock}, nil)
	}()
	c, reader := dial(t, sock.Addr)
	greeted := make(chan string, 1)
	go func() { text, _ := reader.ReadString('\n'); greeted <- text }()
	select {
	case text := <-greeted:
		t.Errorf("got %q", text)
	default:
	}
	close(pass)
	if text := <-greeted; text != "hello\n" {
		t.Errorf("got %q", text)
	}
	c.Close()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestRun_SaysWhyItCannot(t *testing.T) {
	good := service.Conn(lines, nil)
	for want, s := range map[string]service.Service{
		"cannot make ready test: no database": {Serve: good, Ready: func(context.Context) error { return errors.New("no database") }},
		"cannot serve test: out of luck":      {Serve: func(context.Context, service.Sockets) error { return errors.New("out of luck") }},
		"the service needs packets":           {Serve: service.EachPacket(func(context.Context, net.PacketConn) error { return nil })},
		"the service has no function":         {},
	} {
		sock, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		s.Name = "test"
		if err := service.Run(t.Context(), s, []*socket.Socket{sock}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %v", err, want)
		}
		sock.Close()
	}
}

func TestPacket_AnswersUntilTheEnd(t *testing.T) {
	got, goOn := make(chan struct{}), make(chan struct{})
	r := start(t, "udp", service.Service{Serve: service.EachPacket(func(ctx context.Context, p net.PacketConn) error {
		b := make([]byte, 100)
		n, from, err := p.ReadFrom(b)
		if err != nil {
			return err
		}
		close(got)
		<-goOn
		if _, err := p.WriteTo(b[:n], from); err != nil {
			return err
		}
		_, _, err = p.ReadFrom(b)
		if !errors.Is(err, net.ErrClosed) || ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
		return err
	})}, 0)
	c, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "late")
	<-got
	r.stop()
	close(goOn)
	b := make([]byte, 100)
	c.SetDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(b); string(b[:n]) != "late" {
		t.Errorf("got %q, %v", b[:n], err)
	}
	if err := <-r.over; err != nil {
		t.Error(err)
	}
}

func TestHTTP_TellsEachConnectionToCloseWithItsLastAnswer(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(inside)
			<-goOn
			if r.Context().Err() != nil {
				t.Error("the drain ended a request's context")
			}
		}
		io.WriteString(w, "ok")
	})
	r := start(t, "tcp", service.Service{Kind: service.Requests, Serve: service.HTTP(h, service.HTTPOptions{Grace: time.Hour})}, time.Hour)
	get := func(c net.Conn, reader *bufio.Reader, path string) *http.Response {
		t.Helper()
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		return res
	}
	idle, ir := dial(t, r.addr)
	if res := get(idle, ir, "/"); res.Close {
		t.Fatal("closed too early")
	}
	fresh, fr := dial(t, r.addr)
	get(fresh, fr, "/")
	silent, sr := dial(t, r.addr) // accepted, as the next one is
	busy, br := dial(t, r.addr)
	answered := make(chan *http.Response, 1)
	go func() { answered <- get(busy, br, "/slow") }()
	<-inside
	r.stop()
	untilRefused(r.addr) // it may not have noticed yet
	close(goOn)
	<-answered
	for _, c := range []struct {
		net.Conn
		r *bufio.Reader
	}{{idle, ir}, {fresh, fr}, {silent, sr}, {busy, br}} {
		if res := get(c.Conn, c.r, "/"); res.StatusCode != 200 || !res.Close {
			t.Errorf("got %s, close %v", res.Status, res.Close)
		}
	}
	if err := <-r.over; err != nil {
		t.Error(err)
	}
}

func TestHTTP_ClosesIdleConnectionsAfterTheGrace(t *testing.T) {
	r := start(t, "tcp", service.Service{
		Kind: service.Requests, Serve: service.HTTP(http.NotFoundHandler(), service.HTTPOptions{Grace: time.Millisecond}),
	}, time.Hour)
	_, silent := dial(t, r.addr)
	idle, ir := dial(t, r.addr)
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(ir, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	r.stop()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	for _, c := range []*bufio.Reader{silent, ir} {
		if rest, _ := io.ReadAll(c); len(rest) != 0 {
			t.Errorf("got %q", rest)
		}
	}
}
