//go:build unix

package service_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// stacks counts the goroutines that wait for parked connections, and those that net/http has for others.
func stacks() (parked, held int) {
	b := make([]byte, 1<<20)
	all := string(b[:runtime.Stack(b, true)])
	return strings.Count(all, "service.readable("), strings.Count(all, "net/http.(*conn).serve(")
}

// awaitTaken waits until so many connections are parked, whatever net/http has.
func awaitTaken(t *testing.T, n int) {
	t.Helper()
	await(t, func(parked, held int) bool { return parked == n })
}

// awaitParked waits until so many are, and no other is left.
func awaitParked(t *testing.T, n int) {
	t.Helper()
	await(t, func(parked, held int) bool { return parked == n && held == 0 })
}

func await(t *testing.T, f func(parked, held int) bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !f(stacks()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			parked, held := stacks()
			t.Fatalf("%d connections are parked, and net/http has %d", parked, held)
		}
	}
}

// webAt serves requests at a socket, and answers each with itself and the socket's name.
func webAt(t *testing.T, grace time.Duration, m manners.Manners) running {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+r.URL.Path+" at "+service.SocketName(r.Context()))
	})
	s := service.Service{Kind: service.Requests, Serve: service.HTTP(h, service.HTTPOptions{Grace: grace})}
	at := socket.Address{Name: "front", Network: "tcp", Addr: "127.0.0.1:0"}
	return startAt(t, at, s, service.Options{DrainWithin: time.Hour, Manners: m})
}

// request sends a request and wants it answered.
func request(t *testing.T, c net.Conn, r *bufio.Reader, path string) *http.Response {
	t.Helper()
	io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	return answered(t, r, path)
}

func answered(t *testing.T, r *bufio.Reader, path string) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); string(body) != "GET"+path+" at front" || err != nil {
		t.Fatalf("got %q, %v", body, err)
	}
	return res
}

func TestPark_AnIdleConnectionIsTakenUpAgain(t *testing.T) {
	r := webAt(t, time.Hour, manners.Manners{})
	c, cr := dial(t, r.addr)
	for range 3 {
		request(t, c, cr, "/one")
		request(t, c, cr, "/two")
		awaitParked(t, 1)
	}
	c.Close()
	awaitParked(t, 0)
	r.stop() // nothing is left to wait for
	if err := <-r.over; err != nil {
		t.Error(err)
	}
}

// What was read of the next request stays with the connection.
func TestPark_NothingThatWasReadIsLost(t *testing.T) {
	r := webAt(t, 0, manners.Manners{})
	for _, cut := range []int{1, 2, 3, 5, 20} {
		const next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
		c, cr := dial(t, r.addr)
		io.WriteString(c, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n"+next[:cut])
		answered(t, cr, "/first")
		later, lr := dial(t, r.addr) // by the time that this one is parked, the first would be
		request(t, later, lr, "/later")
		awaitTaken(t, 1)
		io.WriteString(c, next[cut:])
		answered(t, cr, "/next")
		c.Close()
		later.Close()
		awaitParked(t, 0)
	}
}

// A byte that comes while a request is answered is read by net/http at once.
func TestPark_AnEarlyByteIsNotLost(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(inside)
			<-goOn
		}
		io.WriteString(w, r.Method+r.URL.Path+" at front")
	})
	r := start(t, "tcp", service.Service{Kind: service.Requests, Serve: service.HTTP(h, service.HTTPOptions{})}, 0)
	c, cr := dial(t, r.addr)
	io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	io.WriteString(c, "G")
	later, lr := dial(t, r.addr)
	request(t, later, lr, "/later")
	awaitTaken(t, 1)
	close(goOn)
	answered(t, cr, "/slow")
	request(t, later, lr, "/again")
	awaitTaken(t, 1) // this time it has waited for longer
	io.WriteString(c, "ET /next HTTP/1.1\r\nHost: x\r\n\r\n")
	answered(t, cr, "/next")
}

func TestPark_TheIdleTimeoutHolds(t *testing.T) {
	r := webAt(t, 0, manners.Manners{IdleMS: 2000})
	c, cr := dial(t, r.addr)
	request(t, c, cr, "/")
	awaitParked(t, 1)
	if rest, err := io.ReadAll(cr); len(rest) != 0 || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
	awaitParked(t, 0)
}

func TestPark_InTheDrain(t *testing.T) {
	r := webAt(t, time.Hour, manners.Manners{})
	asked, ar := dial(t, r.addr)
	request(t, asked, ar, "/")
	awaitParked(t, 1)
	r.stop()
	untilRefused(r.addr)
	if res := request(t, asked, ar, "/last"); !res.Close {
		t.Error("the last answer does not say that it is the last")
	}
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	r = webAt(t, time.Millisecond, manners.Manners{})
	idle, ir := dial(t, r.addr)
	request(t, idle, ir, "/")
	awaitParked(t, 1)
	r.stop()
	if err := <-r.over; err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(ir); len(rest) != 0 || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
	awaitParked(t, 0)
}

// Connections of HTTP/2 idle in their own way.
func TestPark_HTTP2IsLeftAlone(t *testing.T) {
	r := webAt(t, 0, manners.Manners{})
	client := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	client.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	for range 2 {
		res, err := client.Get("http://" + r.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.ProtoMajor != 2 {
			t.Fatalf("it speaks %s", res.Proto)
		}
		other, or := dial(t, r.addr)
		request(t, other, or, "/")
		awaitTaken(t, 1)
		other.Close()
		awaitTaken(t, 0)
	}
}
