package timeserver_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/serve/stock/internal/stocktest"
	"github.com/universal-server/become/serve/stock/timeserver"
)

func listen(t testing.TB, n int) []net.PacketConn {
	t.Helper()
	var sockets []net.PacketConn
	for range n {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		sockets = append(sockets, pc)
	}
	return sockets
}

func start(t testing.TB, sockets []net.PacketConn, o *timeserver.Options) (stop func() error) {
	return stocktest.Run(t, func(ctx context.Context) error { return timeserver.Serve(ctx, sockets, o) })
}

func ask(t testing.TB, addr net.Addr, request []byte) string {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 100)
	for range 10 { // a datagram may be lost, even here
		c.SetDeadline(time.Now().Add(3 * time.Second))
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(b)
		if err == nil {
			return string(b[:n])
		}
	}
	t.Fatalf("%s does not answer", addr)
	return ""
}

// at is a server's clock that stands still.
func at(y int, m time.Month, d, h, min, s int) *timeserver.Options {
	return &timeserver.Options{Now: func() time.Time { return time.Date(y, m, d, h, min, s, 0, time.UTC) }}
}

func TestServe_AnswersAsCtimeDoes(t *testing.T) {
	for want, o := range map[string]*timeserver.Options{
		"Sat Nov 21 10:00:30 2026\n": at(2026, 11, 21, 10, 0, 30),
		"Fri Jan  2 03:04:05 1970\n": at(1970, 1, 2, 3, 4, 5),
		"Sun Jun 30 23:59:59 2069\n": at(2069, 6, 30, 23, 59, 59),
	} {
		sockets := listen(t, 3)
		stop := start(t, sockets, o)
		for _, s := range sockets {
			for _, request := range [][]byte{[]byte("what time?"), {}, make([]byte, 9000)} {
				if got := ask(t, s.LocalAddr(), request); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		}
		stop()
	}
}

func TestServe_AnswersFromTheAddressThatWasAsked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address, and do not tell")
	}
	want := "Sat Nov 21 10:00:30 2026\n"
	both := []string{"127.0.0.1", "127.0.0.2"}
	if six, err := net.ListenPacket("udp6", "[::1]:0"); err == nil { // or this machine has no IPv6
		six.Close()
		both = append(both, "::1")
	}
	for network, hosts := range map[string][]string{"udp4": both[:2], "udp": both} {
		pc, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
		start(t, []net.PacketConn{pc}, at(2026, 11, 21, 10, 0, 30))
		for _, host := range hosts {
			to, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, to, nil); got != want { // a connected socket hears nobody else
				t.Errorf("%s at %s: got %q", network, host, got)
			}
		}
	}
}

func TestServe_TellsTheLocalTime(t *testing.T) {
	sockets := listen(t, 1)
	start(t, sockets, nil)
	before := time.Now().Truncate(time.Second)
	got, err := time.ParseInLocation(time.ANSIC+"\n", ask(t, sockets[0].LocalAddr(), []byte("?")), time.Local)
	if after := time.Now(); err != nil || got.Before(before) || got.After(after) {
		t.Errorf("got %v, %v, between %v and %v", got, err, before, after)
	}
}

func TestServe_PeersThatLeaveHoldUpNobody(t *testing.T) {
	sockets := listen(t, 1)
	start(t, sockets, nil)
	for range 50 {
		c, err := net.Dial("udp", sockets[0].LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("and gone"))
		c.Close()
	}
	ask(t, sockets[0].LocalAddr(), []byte("?"))
}

func TestServe_ASocketThatIsClosedEndsIt(t *testing.T) {
	sockets := listen(t, 3)
	done := make(chan error, 1)
	go func() { done <- timeserver.Serve(t.Context(), sockets, nil) }()
	ask(t, sockets[2].LocalAddr(), nil)
	sockets[1].Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := sockets[0].Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("another socket is still open: %v", err)
	}
}

func TestServe_WithoutSocketsWaits(t *testing.T) {
	if err := start(t, nil, nil)(); err != nil {
		t.Error(err)
	}
}

// odd is a socket that is not UDP: its peers have no names, or its answers fail.
type odd struct {
	peers chan net.Addr
	sent  chan string
	done  chan struct{}
	once  sync.Once
}

func (o *odd) ReadFrom([]byte) (int, net.Addr, error) {
	select {
	case p := <-o.peers:
		return 0, p, nil
	case <-o.done:
		return 0, nil, net.ErrClosed
	}
}

func (o *odd) WriteTo(b []byte, to net.Addr) (int, error) {
	if to.String() == "unreachable" {
		return 0, errors.New("no way there")
	}
	o.sent <- string(b)
	return len(b), nil
}

func (o *odd) Close() error                     { o.once.Do(func() { close(o.done) }); return nil }
func (o *odd) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "odd"} }
func (o *odd) SetDeadline(time.Time) error      { return nil }
func (o *odd) SetReadDeadline(time.Time) error  { return nil }
func (o *odd) SetWriteDeadline(time.Time) error { return nil }

func TestServe_AnErrorOfOneDatagramPasses(t *testing.T) {
	s := &odd{peers: make(chan net.Addr), sent: make(chan string, 1), done: make(chan struct{})}
	start(t, []net.PacketConn{s}, at(2026, 11, 21, 10, 0, 30))
	s.peers <- nil
	s.peers <- &net.UnixAddr{}
	s.peers <- &net.UnixAddr{Name: "unreachable"}
	s.peers <- &net.UnixAddr{Name: "fine"}
	if got := <-s.sent; got != "Sat Nov 21 10:00:30 2026\n" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkTime(b *testing.B) {
	sockets := listen(b, 1)
	start(b, sockets, nil)
	b.ReportAllocs()
	c, err := net.Dial("udp", sockets[0].LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 64)
	for b.Loop() {
		c.Write(buf[:1])
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
