package echo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/serve/stock/echo"
	"github.com/universal-server/become/serve/stock/internal/stocktest"
)

func start(t testing.TB, o *echo.Options) (addr string, stop func() error) {
	t.Helper()
	ln := stocktest.Listen(t)
	return ln.Addr().String(), stocktest.Run(t, func(ctx context.Context) error { return echo.Serve(ctx, ln, o) })
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

// ask sends one message and waits until it is back.
func ask(t testing.TB, c net.Conn, message string) {
	t.Helper()
	io.WriteString(c, message)
	b := make([]byte, len(message))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != message {
		t.Fatalf("got %q, %v, want %q", b, err, message)
	}
}

func TestServe_SendsBackEveryByte(t *testing.T) {
	addr, _ := start(t, nil)
	var wg sync.WaitGroup
	for i, size := range []int{0, 1, 4095, 4096, 4097, 8192, 65536, 100_000, 3_000_000} {
		c := dial(t, addr)
		want := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(i)}).Read(want)
		wg.Go(func() {
			c.Write(want)
			c.CloseWrite()
		})
		wg.Go(func() {
			got, err := io.ReadAll(c)
			if !bytes.Equal(got, want) || err != nil {
				t.Errorf("%d bytes: got %d, %v", size, len(got), err)
			}
			c.Close()
		})
	}
	wg.Wait()
}

func TestServe_AThousandClientsAtOnce(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	addr, _ := start(t, nil)
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial(t, addr)
	}
	for round := range 2 {
		for i, c := range conns {
			ask(t, c, strings.Repeat("x", 1+i*7+round))
		}
	}
	for _, c := range conns {
		c.Close()
	}
}

func TestServe_LogsWhoComesAndGoes(t *testing.T) {
	var log bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}
	addr, stop := start(t, &echo.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: drop}))})
	c := dial(t, addr)
	ask(t, c, "hello")
	c.CloseWrite()
	io.ReadAll(c)
	c.Close()
	stop()
	peer := c.LocalAddr().String()
	want := "msg=\"Got connection from\" peer=" + peer + "\nmsg=\"Client closed\" peer=" + peer + "\n"
	if log.String() != want {
		t.Errorf("got %s want %s", &log, want)
	}
}

func TestServe_AResetEndsOnlyItsConnection(t *testing.T) {
	addr, _ := start(t, nil)
	other := dial(t, addr)
	for range 50 {
		c := dial(t, addr)
		c.Write(make([]byte, 10_000))
		c.SetLinger(0)
		c.Close()
		ask(t, other, "still here?")
	}
}

func TestServe_APeerThatIsNotInTimeLosesItsConnection(t *testing.T) {
	addr, _ := start(t, &echo.Options{IdleTimeout: time.Millisecond})
	if b, _ := io.ReadAll(dial(t, addr)); len(b) != 0 {
		t.Errorf("silent: got %q", b)
	}
	addr, _ = start(t, &echo.Options{WriteTimeout: 20 * time.Millisecond})
	c := dial(t, addr)
	for {
		if _, err := c.Write(make([]byte, 100_000)); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("does not read: still open")
			}
			return
		}
	}
}

func TestServe_MoreThanTheCapWait(t *testing.T) {
	addr, _ := start(t, &echo.Options{MaxConns: 1})
	a, b := dial(t, addr), dial(t, addr)
	ask(t, a, "first")
	io.WriteString(b, "second")
	ask(t, a, "first again")
	a.Close()
	got := make([]byte, 6)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "second" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestServe_DrainsWithoutLosingAByte(t *testing.T) {
	addr, stop := start(t, nil)
	const peers = 20
	conns := make([]net.Conn, peers)
	for i := range conns {
		conns[i] = dial(t, addr)
		io.WriteString(conns[i], "under way")
	}
	ask(t, dial(t, addr), "last in the queue: all are accepted")
	done := make(chan error, 1)
	go func() { done <- stop() }()
	for i, c := range conns {
		if got, err := io.ReadAll(c); string(got) != "under way" || err != nil {
			t.Errorf("peer %d got %q, %v", i, got, err)
		}
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("after the end one connects")
	}
}

func TestServe_CutsWhatIsOpenAfterTheDeadline(t *testing.T) {
	addr, stop := start(t, &echo.Options{DrainTimeout: 10 * time.Millisecond})
	c := dial(t, addr)
	var wg sync.WaitGroup
	var once sync.Once
	full := make(chan struct{})
	wg.Go(func() { // it never reads: the server waits in a write
		for {
			c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, err := c.Write(make([]byte, 100_000))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				once.Do(func() { close(full) })
				continue
			}
			if err != nil {
				return
			}
		}
	})
	<-full
	if err := stop(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func BenchmarkEcho(b *testing.B) {
	for name, clients := range map[string]int{"1 client": 1, "100 clients": 100} {
		b.Run(name, func(b *testing.B) {
			addr, _ := start(b, nil)
			rounds(b, addr, clients)
		})
		b.Run(name+" of a bare server", func(b *testing.B) {
			rounds(b, bare(b), clients)
		})
	}
}

// bare is the least echo server.
func bare(b *testing.B) string {
	ln := stocktest.Listen(b)
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func rounds(b *testing.B, addr string, clients int) {
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = dial(b, addr)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range conns {
		n := (b.N + i) / clients
		wg.Go(func() {
			message := []byte("hello, world\n")
			for range n {
				c.Write(message)
				if _, err := io.ReadFull(c, message); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	for _, c := range conns {
		c.Close()
	}
}
