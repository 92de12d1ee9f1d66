package socket_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

func TestParse_ReadsWhatStringWrites(t *testing.T) {
	for text, want := range map[string]socket.Address{
		":8080":                {Network: "tcp", Addr: ":8080"},
		"tcp://127.0.0.1:0":    {Network: "tcp", Addr: "127.0.0.1:0"},
		"admin=[::1]:80":       {Name: "admin", Network: "tcp", Addr: "[::1]:80"},
		"udp://127.0.0.1:53":   {Network: "udp", Addr: "127.0.0.1:53"},
		"web=tls://:8443":      {Name: "web", Network: "tcp", Addr: ":8443", TLS: true},
		"unix:/tmp/a=b":        {Network: "unix", Addr: "/tmp/a=b"},
		"unix:///tmp/x":        {Network: "unix", Addr: "/tmp/x"},
		"x=udp://localhost:65": {Name: "x", Network: "udp", Addr: "localhost:65"},
	} {
		got, err := socket.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
		if again, err := socket.Parse(got.String()); err != nil || again != got {
			t.Errorf("%q: got %+v, %v again", text, again, err)
		}
	}
	for _, text := range []string{"", "8080", "a:b:c", ":http", ":65536", ":-1", "unix:", "udp://", "tls://", "tls://8443", "tls:///run/x", "ftp://x:21", "=:1", "unix:/" + strings.Repeat("x", 200)} {
		if a, err := socket.Parse(text); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %+v, %v", text, a, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{":80", "a=tls://[::1]:443", "udp://h:1", "unix:/x", "x=unix://=", "tcp://:0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := socket.Parse(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: got %v", text, err)
			}
			return
		}
		if again, err := socket.Parse(a.String()); err != nil || again != a {
			t.Errorf("%q is %+v, and %q is %+v, %v", text, a, a.String(), again, err)
		}
	})
}

func TestSecure_SocketsThatSaySoOrAllOfTCP(t *testing.T) {
	tcp, tls := wire.Socket{Network: "tcp", Addr: ":80"}, wire.Socket{Network: "tcp", Addr: "h.test:443", TLS: true}
	unix, udp := wire.Socket{Network: "unix", Addr: "/x"}, wire.Socket{Network: "udp", Addr: ":1"}
	for _, c := range []struct {
		all         []wire.Socket
		certificate bool
		want        []bool // nil: refused
	}{
		{[]wire.Socket{tcp, unix, udp}, false, []bool{false, false, false}},
		{[]wire.Socket{tcp, unix, tcp}, true, []bool{true, false, true}},
		{[]wire.Socket{tcp, tls}, true, []bool{false, true}},
		{[]wire.Socket{tcp, tls}, false, nil},
		{[]wire.Socket{unix, udp}, true, nil},
		{nil, true, nil},
	} {
		all := slices.Clone(c.all)
		err := socket.Secure(all, c.certificate)
		if (err == nil) != (c.want != nil) || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: got %v", c, err)
			continue
		}
		for i, want := range c.want {
			if all[i].TLS != want {
				t.Errorf("%+v: got %v", c.all[i], all[i].TLS)
			}
		}
	}
	name, _ := os.Hostname()
	wide := wire.Socket{Network: "tcp", Addr: "[::]:443", TLS: true}
	if got := socket.Hosts([]wire.Socket{tcp, tls, unix, wide}); !slices.Equal(got, []string{"h.test", name}) {
		t.Errorf("got %q", got)
	}
}

func open(t *testing.T, a socket.Address) *socket.Socket {
	t.Helper()
	s, err := socket.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOpen_SaysThatAnAddressIsInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, a := range []socket.Address{
		{Network: "tcp", Addr: "127.0.0.1:0"}, {Network: "udp", Addr: "127.0.0.1:0"}, {Network: "unix", Addr: path},
	} {
		s := open(t, a)
		a.Addr = s.Addr
		_, err := socket.Open(t.Context(), a)
		if fault.KindOf(err) != fault.Conflict || err.Error() != `cannot listen at "`+a.String()+`": address already in use` {
			t.Errorf("%v: got %v", a, err)
		}
	}
}

func TestOpen_SaysThatThereIsNoSuchHost(t *testing.T) {
	_, err := socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: "no..host:80"}) // none can be called so
	if fault.KindOf(err) != fault.Invalid || err.Error() != `cannot listen at "no..host:80": there is no host no..host` {
		t.Errorf("got %v", err)
	}
}

func TestOpen_ReplacesTheFileOfADeadSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	open(t, socket.Address{Network: "unix", Addr: path})
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Open(t.Context(), socket.Address{Network: "unix", Addr: plain}); err == nil {
		t.Error("it listens at a plain file")
	}
	if data, _ := os.ReadFile(plain); string(data) != "mine" {
		t.Error("a plain file was removed")
	}
}
