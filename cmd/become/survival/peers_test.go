//go:build linux

package survival

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// protocol is what a server speaks, seen from its clients.
type protocol struct {
	name    string
	serve   func(t *testing.T) *keeper // by one process
	request string
	half    string // of a request
	line    string // begins one that can be endless
	answer  func(*bufio.Reader) error
}

var protocols = []protocol{
	{
		name: "http", serve: func(t *testing.T) *keeper { return serveInForeground(t, 1) },
		request: "GET / HTTP/1.1\r\nHost: here\r\n\r\n", half: "GET / HTTP/1.1\r\nHost: he", line: "GET / HTTP/1.1\r\nHost: here\r\nLong: ", answer: httpAnswer,
	},
	{name: "echo", serve: stock("echo", "--max-conns", "11000"), request: "hello\n", half: "hel", line: "hel", answer: exactly("hello\n")},
	{name: "cas", serve: stock("cas", "--settings", `{"max_conns": 11000}`), request: "0 0\n", half: "0 ", line: "0 ", answer: exactly("0\n\r")},
}

func stock(name string, more ...string) func(*testing.T) *keeper {
	return func(t *testing.T) *keeper {
		k := start(t, append([]string{"serve", name, "--listen", "127.0.0.1:0", "--procs", "1"}, more...)...)
		k.addr = k.said.await(t, `at tcp://([0-9.:]+),`)
		return k
	}
}

func httpAnswer(r *bufio.Reader) error {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "1 ")) {
		err = fmt.Errorf("%s: %q", res.Status, body)
	}
	return err
}

func exactly(want string) func(*bufio.Reader) error {
	return func(r *bufio.Reader) error {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			return fmt.Errorf("%q came back, want %q: %w", got, want, err)
		}
		return nil
	}
}

// busy asks over 64 connections until ctx ends, and says how many answers were right. The first wrong one, or none
// in time, is an error.
func (p protocol) busy(ctx context.Context, addr string) (answers int64, err error) {
	var sum atomic.Int64
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := p.askOften(ctx, addr, &sum); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return sum.Load(), <-errs
}

// askOften asks on one connection.
func (p protocol) askOften(ctx context.Context, addr string, sum *atomic.Int64) error {
	const often = 100
	c, err := net.DialTimeout("tcp", addr, answerWithin)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for i := 0; i < often && ctx.Err() == nil; i++ {
		c.SetDeadline(time.Now().Add(answerWithin))
		if _, err := io.WriteString(c, p.request); err != nil {
			return err
		}
		if err := p.answer(r); err != nil {
			return err
		}
		sum.Add(1)
	}
	return nil
}

// badPeers are those that nobody wants, by what they do to their connection. Each does it until the connection or ctx ends.
func (p protocol) badPeers() map[string]func(ctx context.Context, c *net.TCPConn) {
	const megabyte = 1 << 20
	garbage := make([]byte, megabyte)
	rand.NewChaCha8([32]byte{1}).Read(garbage)
	return map[string]func(context.Context, *net.TCPConn){
		"silent":      func(ctx context.Context, _ *net.TCPConn) { <-ctx.Done() },
		"half-open":   func(ctx context.Context, c *net.TCPConn) { io.WriteString(c, p.half); c.CloseWrite(); <-ctx.Done() },
		"slow":        func(ctx context.Context, c *net.TCPConn) { dribble(ctx, c, p.line) },
		"never reads": func(_ context.Context, c *net.TCPConn) { forEver(c, []byte(strings.Repeat(p.request, 1000))) },
		"endless line": func(_ context.Context, c *net.TCPConn) {
			io.WriteString(c, p.line)
			forEver(c, []byte(strings.Repeat("1", megabyte)))
		},
		"long lines": func(_ context.Context, c *net.TCPConn) {
			go io.Copy(io.Discard, c)
			forEver(c, []byte(p.line+strings.Repeat("1", megabyte)+"\r\n\r\n"))
		},
		"garbage": func(_ context.Context, c *net.TCPConn) {
			go io.Copy(io.Discard, c)
			forEver(c, garbage)
		},
		"reset": func(_ context.Context, c *net.TCPConn) { // in the middle of an answer
			io.WriteString(c, p.request+p.half)
			c.SetLinger(0)
		},
	}
}

// dribble sends a byte now and then.
func dribble(ctx context.Context, c net.Conn, text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		next := byte('1')
		if i < len(text) {
			next = text[i]
		}
		if _, err := c.Write([]byte{next}); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// forEver is a lot: what would be felt if it were all kept.
func forEver(c net.Conn, b []byte) {
	for n := 0; n < 64<<20; n += len(b) {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// molest keeps so many peers of each bad sort connected until ctx ends, and returns when they are gone.
func (p protocol) molest(ctx context.Context, addr string, each int) (connected int64) {
	var wg sync.WaitGroup
	var sum atomic.Int64
	for _, act := range p.badPeers() {
		for range each {
			wg.Go(func() {
				for ctx.Err() == nil {
					c, err := net.DialTimeout("tcp", addr, answerWithin)
					if err != nil {
						continue
					}
					sum.Add(1)
					over := context.AfterFunc(ctx, func() { c.Close() })
					act(ctx, c.(*net.TCPConn))
					over()
					c.Close()
					pause(ctx, 10*time.Millisecond) // a peer, not a flood of them
				}
			})
		}
	}
	wg.Wait()
	return sum.Load()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// memory is a process's resident memory now and at its most, in bytes.
func memory(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		var kb int64
		fmt.Sscan(rest, &kb)
		switch name {
		case "VmRSS":
			now = kb << 10
		case "VmHWM":
			most = kb << 10
		}
	}
	return now, most
}

// Bad peers of all sorts together, at the side of 64 good ones, all at one process: the good ones are
// answered, the process lives, does not grow and forgets the others when they are gone.
func TestBadPeers_AreNobodyElsesConcern(t *testing.T) {
	const each, most = 8, 128 << 20
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			k := p.serve(t)
			pid := k.settle(1)[0]
			_, quiet := files(pid)
			before, _ := memory(t, pid)
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			defer cancel()
			var bad atomic.Int64
			var wg sync.WaitGroup
			wg.Go(func() { bad.Store(p.molest(ctx, k.addr, each)) })
			answers, err := p.busy(ctx, k.addr)
			wg.Wait()
			if err != nil || answers == 0 {
				t.Errorf("%d answers among %d bad peers, then %v", answers, bad.Load(), err)
			}
			if _, peak := memory(t, pid); peak-before > most {
				t.Errorf("the process grew from %d to %d bytes", before, peak)
			}
			if now := k.settle(1)[0]; now != pid {
				t.Errorf("process %d was replaced by %d", pid, now)
			}
			eventually(t, func() bool { _, n := files(pid); return n <= quiet })
			_, peak := memory(t, pid)
			t.Logf("%d answers, %d bad peers, at most %d bytes more", answers, bad.Load(), peak-before)
		})
	}
}

// Ten thousand connections that do nothing cost little, and the 64 that do something feel nothing.
func TestIdleConnections_OfStockServers(t *testing.T) {
	for _, p := range protocols[1:] {
		t.Run(p.name, func(t *testing.T) {
			k := p.serve(t)
			pid := k.settle(1)[0]
			before, _ := memory(t, pid)
			n := affordable(t, 10_000)
			idle, err := connect(k.addr, n)
			defer func() {
				for _, c := range idle {
					c.Close()
				}
			}()
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { _, sockets := files(pid); return sockets > n })
			now, _ := memory(t, pid)
			if each := (now - before) / int64(n); each > 12<<10 {
				t.Errorf("each of %d idle connections costs %d bytes", n, each)
			} else {
				t.Logf("each of %d idle connections costs %d bytes", n, each)
			}
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			defer cancel()
			if answers, err := p.busy(ctx, k.addr); err != nil || answers == 0 {
				t.Errorf("%d answers, then %v", answers, err)
			}
			for _, c := range idle { // are all there
				c.SetReadDeadline(time.Unix(1, 0))
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("an idle connection has ended: %v", err)
				}
			}
		})
	}
}

// affordable is n, or as many connections as this machine lets a process have. In CI it has to.
func affordable(t *testing.T, n int) int {
	t.Helper()
	const others = 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max >= uint64(n+others) {
		return n // Go takes all that it may have
	}
	if required {
		t.Fatalf("a process may open %d files only", limit.Max)
	}
	return max(0, int(limit.Max)-others)
}

func connect(addr string, n int) (all []net.Conn, err error) {
	for range n {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}
