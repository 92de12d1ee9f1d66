package become

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
)

func nothing(context.Context, net.Conn) error { return nil }

func TestServe_RefusesWhatCannotBe(t *testing.T) {
	good := Conn("good", nothing)
	for _, c := range []struct {
		want    string
		servers []*Server
		args    []string
	}{
		{"the program has no service", nil, nil},
		{"a service's name is letters", []*Server{Conn("b d", nothing)}, nil},
		{"a service's name is letters", []*Server{nil}, nil},
		{"the service has no function", []*Server{HTTP("web", nil)}, nil},
		{"two services have this name", []*Server{good, good}, []string{"--service", "good"}},
		{"say which service: good, other", []*Server{good, Conn("other", nothing)}, nil},
		{"the program's services are good", []*Server{good}, []string{"--service", "bad"}},
		{"the service has no settings", []*Server{good}, []string{"--listen", "127.0.0.1:0", "--settings", "{}"}},
		{"it does not serve HTTP: limits of headers and bodies", []*Server{Conn("few", nothing, ServiceOptions{MaxBody: 1})}, nil},
		{"it serves packets", []*Server{Packet("few", func(context.Context, net.PacketConn) error { return nil })}, []string{"--max-conns", "3", "--listen", "udp://127.0.0.1:0"}},
		{"want a number above zero", []*Server{good}, []string{"--max-conns", "0"}},
		{"want host:port", []*Server{good}, []string{"--listen", "8080"}},
		{"flag provided but not defined: -nonsense", []*Server{good}, []string{"--nonsense"}},
		{`"nonsense" is no flag`, []*Server{good}, []string{"nonsense"}},
		{"the service needs connections", []*Server{good}, []string{"--listen", "udp://127.0.0.1:0"}},
	} {
		err := serveAlone(t.Context(), c.servers, servicesOf(c.servers), c.args, io.Discard, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestServe_FillsTheSettings(t *testing.T) {
	set := struct {
		Word  string
		Times int
	}{"hello", 1}
	s := Conn("talk", nothing, ServiceOptions{Settings: &set})
	if err := s.service.Configure([]byte(`{"times": 3}`)); err != nil || set.Word != "hello" || set.Times != 3 {
		t.Errorf("got %+v, %v", set, err)
	}
	for _, bad := range []string{`{"tmies": 3}`, `{"times": "three"}`, `{"times": 3} x`, `[]`, `null`} {
		err := s.service.Configure([]byte(bad))
		if bad != "null" && err == nil {
			t.Errorf("%s: got %+v", bad, set)
		}
	}
	err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), []string{"--listen", "127.0.0.1:0", "--settings", "{"}, io.Discard, &bytes.Buffer{})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "cannot configure talk") {
		t.Errorf("got %v", err)
	}
	byValue := Conn("talk", nothing, ServiceOptions{Settings: set})
	if err := byValue.service.Configure([]byte("{}")); err == nil {
		t.Error("settings by value were taken")
	}
}

func TestServe_ListensAtSeveralAddresses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := net.Pipe()
	s := Service("many", func(_ context.Context, l net.Listener) error {
		for {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			c.Close()
		}
	})
	over := make(chan error, 1)
	services := servicesOf([]*Server{s})
	go func() {
		over <- serveAlone(ctx, []*Server{s}, services, []string{"--listen", "127.0.0.1:0", "--listen", "admin=127.0.0.1:0"}, io.Discard, w)
	}()
	buf := make([]byte, 200)
	n, _ := r.Read(buf)
	_, text, _ := strings.Cut(string(buf[:n]), ": serving on ")
	addrs := strings.Fields(text)
	if len(addrs) != 2 || !strings.HasPrefix(addrs[1], "admin=") {
		t.Fatalf("got %q", buf[:n])
	}
	for _, addr := range addrs {
		c, err := net.Dial("tcp", strings.TrimPrefix(addr, "admin="))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != 0 || err == nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
		c.Close()
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestUsual_PacketsComeByUDP(t *testing.T) {
	for want, s := range map[string]*Server{
		"udp": Packet("time", func(context.Context, net.PacketConn) error { return nil }),
		"tcp": Conn("echo", func(context.Context, net.Conn) error { return nil }),
	} {
		if got := usual(s.service); got.Network != want || got.Addr != DefaultListen {
			t.Errorf("%s: got %+v", want, got)
		}
	}
}
