package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

// startNamed serves on sockets that have names, and returns where they are.
func startNamed(t *testing.T, s service.Service, opts service.Options, at ...socket.Address) []string {
	t.Helper()
	var sockets []*socket.Socket
	var addrs []string
	for _, a := range at {
		one, err := socket.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		sockets, addrs = append(sockets, one), append(addrs, one.Addr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- service.Run(ctx, s, sockets, &opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return addrs
}

func tcp(name string, secure bool) socket.Address {
	return socket.Address{Name: name, Network: "tcp", Addr: "127.0.0.1:0", TLS: secure}
}

func TestSocketName_OfRequests(t *testing.T) {
	pair, config := identity(t)
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	s := service.Service{Name: "names", Kind: service.Requests, Serve: service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto+" "+service.SocketName(r.Context()))
	}), service.HTTPOptions{Grace: -1})}
	at := startNamed(t, s, service.Options{Certificate: &certificate}, tcp("", false), tcp("admin", false), tcp("safe", true))
	for _, c := range []struct {
		url, want string
		set       func(*http.Protocols)
	}{
		{"http://" + at[0], "HTTP/1.1 ", one}, {"http://" + at[1], "HTTP/1.1 admin", one}, {"http://" + at[1], "HTTP/2.0 admin", plain},
		{"https://" + at[2], "HTTP/1.1 safe", one}, {"https://" + at[2], "HTTP/2.0 safe", two},
	} {
		client := over(t, config, c.set)
		if got, err := get(client, c.url); got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.url, got, err, c.want)
		}
		client.CloseIdleConnections()
	}
}

func TestSocketName_OfConnectionsAndListeners(t *testing.T) {
	for name, serve := range map[string]func(context.Context, service.Sockets) error{
		"connections": service.Conn(func(ctx context.Context, c net.Conn) error {
			_, err := fmt.Fprintf(c, "%s\n", service.SocketName(ctx))
			return err
		}, nil),
		"listeners": service.Each(func(ctx context.Context, l net.Listener) error {
			for {
				c, err := l.Accept()
				if err != nil {
					return err
				}
				fmt.Fprintf(c, "%s\n", service.SocketName(ctx))
				c.Close()
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			at := startNamed(t, service.Service{Name: "names", Serve: serve}, service.Options{}, tcp("one", false), tcp("", false), tcp("two", false))
			for i, want := range []string{"one\n", "\n", "two\n"} {
				_, r := dial(t, at[i])
				if got, err := r.ReadString('\n'); got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
	if got := service.SocketName(t.Context()); got != "" {
		t.Errorf("a context of nothing: got %q", got)
	}
}

func TestSocketName_OfPackets(t *testing.T) {
	serve := service.EachPacket(func(ctx context.Context, p net.PacketConn) error {
		b := make([]byte, 10)
		for {
			_, from, err := p.ReadFrom(b)
			if err != nil {
				return err
			}
			p.WriteTo([]byte(service.SocketName(ctx)), from)
		}
	})
	udp := func(name string) socket.Address {
		return socket.Address{Name: name, Network: "udp", Addr: "127.0.0.1:0"}
	}
	at := startNamed(t, service.Service{Name: "names", Kind: service.Packets, Serve: serve}, service.Options{}, udp("one"), udp("two"))
	for i, want := range []string{"one", "two"} {
		c, err := net.Dial("udp", at[i])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, "who")
		b := make([]byte, 10)
		if n, err := c.Read(b); string(b[:n]) != want {
			t.Errorf("got %q, %v, want %q", b[:n], err, want)
		}
	}
}
