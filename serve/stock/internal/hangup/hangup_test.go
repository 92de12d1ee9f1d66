//go:build unix

package hangup_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/universal-server/become/serve/stock/internal/hangup"
)

// pair returns both ends of a connection.
func pair(t *testing.T, network, addr string) (peer, own net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if peer, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if own, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Close()
		own.Close()
	})
	return peer, own
}

type half interface{ CloseWrite() error }

func TestWait_EndsWhenBothDirectionsAreOver(t *testing.T) {
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.TempDir() + "/s"} {
		peer, own := pair(t, network, addr)
		done := make(chan error, 1)
		go func() { done <- hangup.Wait(own) }()
		io.WriteString(peer, "input is nothing")
		peer.(half).CloseWrite()
		if hangup.Now(own) {
			t.Errorf("%s: a half-closed connection has hung up", network)
		}
		select {
		case err := <-done:
			t.Errorf("%s: a wait ended early: %v", network, err)
		default:
		}
		own.(half).CloseWrite()
		if err := <-done; err != nil || !hangup.Now(own) {
			t.Errorf("%s: got %v, hung up: %v", network, err, hangup.Now(own))
		}
	}
}

func TestWait_SeesAReset(t *testing.T) {
	peer, own := pair(t, "tcp", "127.0.0.1:0")
	io.WriteString(peer, "unread")
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	if err := hangup.Wait(own); err != nil {
		t.Error(err)
	}
}

func TestWait_EndsByCloseAndDeadline(t *testing.T) {
	_, own := pair(t, "tcp", "127.0.0.1:0")
	own.SetReadDeadline(time.Unix(1, 0))
	if err := hangup.Wait(own); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	own.SetReadDeadline(time.Time{})
	done := make(chan error, 1)
	go func() { done <- hangup.Wait(own) }()
	own.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := hangup.Wait(a); !errors.Is(err, errors.ErrUnsupported) || hangup.Now(a) {
		t.Errorf("got %v", err)
	}
}
