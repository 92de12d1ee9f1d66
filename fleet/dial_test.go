package fleet_test

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/roster"
)

// answering accepts lines at l and answers "pong" to each first message.
func answering(t *testing.T, l net.Listener, token []byte) {
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conn, err := line.Server(context.Background(), nc, token, nil)
			if err != nil {
				continue
			}
			if _, err := conn.Receive(); err == nil {
				conn.Send([]byte("pong"))
			}
			conn.Close()
		}
	}()
}

func TestDialer(t *testing.T) {
	k, token := key.New(), []byte("a token of thirty-two bytes, yes")
	serve, err := k.ServerTLS("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := tls.Listen("tcp", "127.0.0.1:0", serve)
	if err != nil {
		t.Fatal(err)
	}
	answering(t, tcp, token)
	sock := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	answering(t, unix, token)

	here, nowhere := "here", filepath.Join(t.TempDir(), "nothing")
	at := func(machine, unix, tcp string) roster.Endpoint {
		return roster.Endpoint{Worker: "w", Machine: machine, Unix: unix, TCP: tcp, Token: token}
	}
	wrong := at(here, sock, "")
	wrong.Token = []byte("another token of thirty-two byte")
	for _, c := range []struct {
		name   string
		public key.Public
		to     roster.Endpoint
		kind   fault.Kind
		says   string
	}{
		{"a socket of this machine", k.Public(), at(here, sock, ""), 0, ""},
		{"TLS to another machine", k.Public(), at("there", sock, tcp.Addr().String()), 0, ""},
		{"TLS when the socket is not to be reached", k.Public(), at(here, nowhere, tcp.Addr().String()), 0, ""},
		{"another fleet's key", key.New().Public(), at("there", "", tcp.Addr().String()), fault.Lost, "not of this fleet's key"},
		{"no address", k.Public(), at("there", sock, ""), fault.Lost, "--listen"},
		{"a dead socket", k.Public(), at(here, nowhere, ""), fault.Lost, "no such file"},
		{"a wrong token", k.Public(), wrong, fault.Denied, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := fleet.Dialer(c.public, here)(t.Context(), c.to)
			if c.kind != 0 {
				if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %v, want %v with %q", err, c.kind, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Send([]byte("ping"))
			if got, err := conn.Receive(); string(got) != "pong" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
