package cas_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

// start serves on a port of its own; stop ends it and waits.
func start(t testing.TB, o *cas.Options) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String(), serve(t, ln, o)
}

func serve(t testing.TB, ln net.Listener, o *cas.Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cas.Serve(ctx, ln, o) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return stop
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.TCPConn)
}

// talk sends the segments, ends the input, and returns all replies.
func talk(t testing.TB, addr string, segments ...string) string {
	t.Helper()
	c := dial(t, addr)
	for _, s := range segments {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	c.Close()
	return string(b)
}

func nines(n int) string { return strings.Repeat("9", n) }

func pad(line string, n int) string { return line + strings.Repeat(" ", n-len(line)) }

func brief(s string) string {
	if len(s) > 200 {
		s = s[:90] + "…" + s[len(s)-90:]
	}
	return strconv.Quote(s)
}

func parse(s string) register.Number {
	n, err := register.Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

func client(t testing.TB, addr string) *cas.Client {
	t.Helper()
	c, err := cas.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func talkUntilClosed(t *testing.T, addr, in string) string {
	c := dial(t, addr)
	io.WriteString(c, in)
	b, _ := io.ReadAll(c)
	return string(b)
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
