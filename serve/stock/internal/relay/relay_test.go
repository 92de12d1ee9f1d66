package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/serve/stock/internal/relay"
)

// half is what the connections of these tests are able to.
type half interface {
	net.Conn
	CloseWrite() error
}

// pair returns both ends of a connection.
func pair(t testing.TB, network string) (peer, own half) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, err := net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		o.Close()
	})
	p.SetDeadline(time.Now().Add(time.Minute))
	return p.(half), o.(half)
}

// opaque is a connection that the system does not know, as one with TLS.
type opaque struct{ c half }

func (o opaque) Read(b []byte) (int, error)         { return o.c.Read(b) }
func (o opaque) Write(b []byte) (int, error)        { return o.c.Write(b) }
func (o opaque) Close() error                       { return o.c.Close() }
func (o opaque) CloseWrite() error                  { return o.c.CloseWrite() }
func (o opaque) LocalAddr() net.Addr                { return o.c.LocalAddr() }
func (o opaque) RemoteAddr() net.Addr               { return o.c.RemoteAddr() }
func (o opaque) SetDeadline(t time.Time) error      { return o.c.SetDeadline(t) }
func (o opaque) SetReadDeadline(t time.Time) error  { return o.c.SetReadDeadline(t) }
func (o opaque) SetWriteDeadline(t time.Time) error { return o.c.SetWriteDeadline(t) }

// between starts a relay and returns the peers at its ends, and how it ended.
func between(t testing.TB, from, to string, idle time.Duration) (a, b half, ended <-chan error) {
	t.Helper()
	side := func(kind string) (half, net.Conn) {
		if kind == "opaque" {
			peer, own := pair(t, "tcp")
			return peer, opaque{own}
		}
		return pair(t, kind)
	}
	a, own := side(from)
	b, other := side(to)
	done := make(chan error, 1)
	go func() { done <- relay.Run(own, other, idle) }()
	return a, b, done
}

func content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func TestRun_EveryByteArrivesBothWays(t *testing.T) {
	kinds := []string{"tcp", "unix", "opaque"}
	for _, from := range kinds {
		for _, to := range kinds {
			for _, size := range []int{0, 1, 4095, 4096, 4097, 70_000, 1_000_000} {
				a, b, ended := between(t, from, to, time.Minute)
				var wg sync.WaitGroup
				for i, c := range []half{a, b} {
					wg.Go(func() {
						c.Write(content(size + i))
						c.CloseWrite()
					})
					wg.Go(func() {
						got, err := io.ReadAll(c)
						if want := content(size + 1 - i); !bytes.Equal(got, want) || err != nil {
							t.Errorf("%s to %s: got %d bytes, %v, want %d", from, to, len(got), err, len(want))
						}
					})
				}
				wg.Wait()
				if err := <-ended; err != nil {
					t.Errorf("%s to %s: %v", from, to, err)
				}
			}
		}
	}
}

// TestRun_PassesTheEndOfOneSideOn sends an answer long after the question has ended.
func TestRun_PassesTheEndOfOneSideOn(t *testing.T) {
	a, b, ended := between(t, "tcp", "tcp", 0)
	io.WriteString(a, "question")
	a.CloseWrite()
	if got, err := io.ReadAll(b); string(got) != "question" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	for range 3 {
		io.WriteString(b, "answer")
		got := make([]byte, 6)
		if _, err := io.ReadFull(a, got); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	if got, err := io.ReadAll(a); len(got) != 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRun_AResetOfOneSideIsOneOfTheOther(t *testing.T) {
	for _, size := range []int{10, 1_000_000} { // copied here, and by the kernel
		a, b, ended := between(t, "tcp", "tcp", 0)
		go a.Write(content(size))
		if _, err := io.ReadFull(b, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		a.(*net.TCPConn).SetLinger(0)
		a.Close()
		if got, err := io.ReadAll(b); err == nil {
			t.Errorf("after %d bytes: got %d more and an ordinary end", size, len(got))
		}
		if err := <-ended; err == nil {
			t.Error("the relay ended without an error")
		}
	}
}

// TestRun_AnEarlyAnswerArrives is of a side that answers and leaves in the middle of what it is sent.
func TestRun_AnEarlyAnswerArrives(t *testing.T) {
	for range 20 {
		a, b, ended := between(t, "tcp", "tcp", 0)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if _, err := a.Write(content(100_000)); err != nil {
					return
				}
			}
		})
		io.ReadFull(b, make([]byte, 500_000))
		answer := content(300_000)
		b.Write(answer)
		b.CloseWrite()
		if got, err := io.ReadAll(a); !bytes.Equal(got, answer) || err != nil {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		b.Close()
		a.Close()
		<-ended
		wg.Wait()
	}
}

func TestRun_EndsWhenClosedFromOutside(t *testing.T) {
	_, own := pair(t, "tcp")
	b, other := pair(t, "tcp")
	done := make(chan error, 1)
	go func() { done <- relay.Run(own, other, 0) }()
	own.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if got, err := io.ReadAll(b); err == nil {
		t.Errorf("the other side got %q and an ordinary end", got)
	}
}

func TestRun_ASideThatTakesNothingIsEnded(t *testing.T) {
	for _, kind := range []string{"tcp", "opaque"} {
		a, _, ended := between(t, "tcp", kind, 200*time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if _, err := a.Write(content(100_000)); err != nil {
					return
				}
			}
		})
		if err := <-ended; !errors.Is(err, relay.ErrStuck) && !errors.Is(err, relay.ErrIdle) {
			t.Errorf("%s: got %v", kind, err)
		}
		wg.Wait()
	}
}

const idle = 40 * time.Second

// TestRun_EndsASilentPair sends one byte from each side at various times and looks how long
// after the last one the relay ends.
func TestRun_EndsASilentPair(t *testing.T) {
	for _, bytesAt := range [][]time.Duration{{}, {1 * time.Second}, {39 * time.Second}, {9 * time.Second, 11 * time.Second, 50 * time.Second, 89 * time.Second}} {
		for side := range 2 {
			synctest.Test(t, func(t *testing.T) {
				var peers, own [2]net.Conn
				for i := range peers {
					peers[i], own[i] = net.Pipe()
				}
				done := make(chan error, 1)
				go func() { done <- relay.Run(own[0], own[1], idle) }()
				start := time.Now()
				last := start
				for _, at := range bytesAt {
					time.Sleep(time.Until(start.Add(at)))
					last = time.Now()
					peers[side].Write([]byte("x"))
					if _, err := io.ReadFull(peers[1-side], make([]byte, 1)); err != nil {
						t.Fatalf("at %s: %v", at, err)
					}
				}
				err := <-done
				if took := time.Since(last); err != relay.ErrIdle || took < idle || took > idle*3/2 {
					t.Errorf("%v by side %d: ended with %v after %s", bytesAt, side, err, took)
				}
				for _, c := range peers {
					c.Close()
				}
			})
		}
	}
}

// TestRun_TheKernelCopies looks for the pipe that splice needs. Go keeps those of other tests open for a while:
// they tell the same.
func TestRun_TheKernelCopies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("splice is Linux's")
	}
	a, b, ended := between(t, "tcp", "tcp", time.Minute)
	go a.Write(content(3_000_000))
	io.ReadFull(b, make([]byte, 3_000_000))
	if pipes(t) == 0 {
		t.Error("there is no pipe")
	}
	a.Close()
	b.Close()
	<-ended
}

func pipes(t *testing.T) (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

func BenchmarkRun(b *testing.B) {
	for _, kind := range []string{"tcp", "opaque"} {
		b.Run(fmt.Sprintf("%s, bytes", kind), func(b *testing.B) {
			from, to, _ := between(b, kind, kind, time.Minute)
			const size = 1 << 20
			b.SetBytes(size)
			go func() {
				for chunk := content(size); ; {
					if _, err := from.Write(chunk); err != nil {
						return
					}
				}
			}()
			buf := make([]byte, size)
			for b.Loop() {
				if _, err := io.ReadFull(to, buf); err != nil {
					b.Fatal(err)
				}
			}
			from.Close()
		})
		b.Run(fmt.Sprintf("%s, questions", kind), func(b *testing.B) {
			from, to, _ := between(b, kind, kind, time.Minute)
			go io.Copy(to, to)
			buf := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				from.Write(buf)
				if _, err := io.ReadFull(from, buf); err != nil {
					b.Fatal(err)
				}
			}
			from.Close()
		})
	}
}
