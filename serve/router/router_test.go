//go:build linux || darwin

package router_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/handoff"
	"github.com/universal-server/become/serve/router"
)

func TestLeast_GoesWhereTheFewestAre(t *testing.T) {
	s := newSeats(t)
	r := newRouter(t, s, nil)
	a, b, c := newProcess(t, 1), newProcess(t, 2), newProcess(t, 3)
	serve(t, a, b, c)
	s.set("least", a, b, c)
	of := map[int][]net.Conn{}
	for range 9 {
		conn := r.dial("")
		n := number(t, conn)
		of[n] = append(of[n], conn)
	}
	for n := 1; n <= 3; n++ {
		if len(of[n]) != 3 {
			t.Errorf("process %d has %d of 9", n, len(of[n]))
		}
	}
	for _, conn := range of[2] {
		conn.Close()
	}
	until(t, "they end", func() bool { open, _, _ := b.Load(); return open == 0 })
	for range 3 {
		if n := number(t, r.dial("")); n != 2 {
			t.Errorf("process %d got one, not the idle process", n)
		}
	}
	// Among equals they take turns.
	seen := map[int]bool{}
	for range 3 {
		seen[number(t, r.dial(""))] = true
	}
	if len(seen) != 3 {
		t.Errorf("got %v", seen)
	}
}

func TestAffinity_AKeyStaysWithItsProcess(t *testing.T) {
	for _, route := range []string{"line", "header:X-Session"} {
		s := newSeats(t)
		r := newRouter(t, s, nil)
		var all []*process
		for n := range 4 {
			all = append(all, newProcess(t, n+1))
		}
		serve(t, all...)
		s.set(route, all...)
		text := func(key int) string {
			if route == "line" {
				return fmt.Sprintf("client %d\nmore", key)
			}
			return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nx-session: client %d\r\n\r\nbody", key)
		}
		who := func(key int) int {
			t.Helper()
			c := r.dial(text(key))
			defer c.Close()
			n := number(t, c)
			echoed(t, c, text(key))
			return n
		}
		const keys = 40
		var home [keys]int
		used := map[int]bool{}
		for key := range keys {
			home[key] = who(key)
			used[home[key]] = true
		}
		if len(used) != 4 {
			t.Errorf("%s: only %v are used", route, used)
		}
		check := func(gone int) {
			t.Helper()
			for key := range keys {
				if got := who(key); got == gone || home[key] != gone && got != home[key] {
					t.Errorf("%s: key %d is at process %d, was at %d", route, key, got, home[key])
				}
			}
		}
		check(0)
		// One leaves, as when it dies: its keys go elsewhere, all others stay.
		all[1].Listener.Close()
		check(2)
		s.set(route, all[0], all[2], all[3])
		check(2)
		// Its successor has its keys.
		all[1] = newProcess(t, 2)
		serve(t, all[1])
		s.set(route, all...)
		s.known()
		check(0)
	}
}

func TestAffinity_FindsASuccessorBeforeItIsTold(t *testing.T) {
	s := newSeats(t)
	r := newRouter(t, s, nil)
	first, other, next := newProcess(t, 1), newProcess(t, 2), newProcess(t, 1)
	serve(t, first, other, next)
	s.set("line", first, other)
	key := keyOf(t, r, 1)
	s.mu.Lock() // and nothing is told
	s.all[0].Sender = next.Sender
	s.mu.Unlock()
	first.Listener.Close()
	until(t, "the first takes no more", func() bool { _, _, ok := first.Load(); return !ok })
	if n := number(t, r.dial(key)); n != 1 {
		t.Errorf("process %d has the key", n)
	}
	if open, _, _ := next.Load(); open != 1 {
		t.Errorf("the successor has %d", open)
	}
}

// keyOf returns the first line of a client that belongs to a process.
func keyOf(t *testing.T, r front, process int) (key string) {
	t.Helper()
	for i, n := 0, 0; n != process; i++ {
		key = fmt.Sprintf("client %d\n", i)
		n = number(t, r.dial(key))
	}
	return key
}

func TestAffinity_ByTheClientsAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system has one loopback address")
	}
	s := newSeats(t)
	r := newRouter(t, s, nil)
	all := []*process{newProcess(t, 1), newProcess(t, 2), newProcess(t, 3)}
	serve(t, all...)
	s.set("ip", all...)
	used := map[int]bool{}
	for host := 1; host < 20; host++ {
		home := 0
		for range 3 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(host))}}
			c, err := d.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			n := number(t, c)
			c.Close()
			if home == 0 {
				home = n
			}
			if n != home {
				t.Errorf("client %d is at process %d, was at %d", host, n, home)
			}
			used[n] = true
		}
	}
	if len(used) != 3 {
		t.Errorf("only %v are used", used)
	}
}

func TestRouter_AlsoForUnixSockets(t *testing.T) {
	l, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, route := range []string{"least", "ip", "line"} {
		s := newSeats(t)
		p := newProcess(t, 1)
		serve(t, p)
		s.set(route, p)
		r := router.New(l.(router.Listener), s, nil)
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "hello\n")
		number(t, c)
		echoed(t, c, "hello\n")
		c.Close()
		r.Close(t.Context()) // the next one goes on with the listener
	}
}

func TestRouter_WhileNobodyServesConnectsWait(t *testing.T) {
	s := newSeats(t)
	r := newRouter(t, s, &router.Options{MaxPending: 3})
	var all []net.Conn
	for range 20 {
		all = append(all, r.dial("hello\n"))
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("%d were accepted for nobody", n)
	}
	p := newProcess(t, 1)
	serve(t, p)
	s.set("least", p)
	for _, c := range all {
		number(t, c)
	}
	s.set("least")
	waiting := []net.Conn{r.dial(""), r.dial("")}
	s.set("line", p)
	for _, c := range waiting {
		io.WriteString(c, "hello\n") // if it was accepted before it needs no key
		number(t, c)
	}
}

func TestRouter_ASlowKeyHoldsUpNobody(t *testing.T) {
	s := newSeats(t)
	p := newProcess(t, 1)
	serve(t, p)
	s.set("header:X-Key", p)
	r := newRouter(t, s, &router.Options{MaxPending: 4, KeyWithin: time.Hour})
	const request = "GET / HTTP/1.1\r\nX-Key: 1\r\n\r\n"
	var slow []net.Conn
	for range 4 {
		slow = append(slow, r.dial("GET / HTTP/1.1\r\nX-"))
	}
	until(t, "all places are taken", func() bool { return r.Pending() == 4 })
	for range 8 { // the first takes the place of the slowest
		c := r.dial(request)
		number(t, c)
		echoed(t, c, request)
	}
	// The slowest has lost its affinity, not its connection.
	io.WriteString(slow[0], "Key: 2\r\n\r\n")
	number(t, slow[0])
	echoed(t, slow[0], "GET / HTTP/1.1\r\nX-Key: 2\r\n\r\n")
}

func TestRouter_PassesOnWhatHasNoKey(t *testing.T) {
	s := newSeats(t)
	p := newProcess(t, 1)
	serve(t, p)
	r := newRouter(t, s, &router.Options{KeyWithin: time.Millisecond, MaxKey: 5000})
	for _, route := range []string{"line", "header:X-Key"} {
		s.set(route, p)
		for _, text := range []string{
			"", "no end", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01", strings.Repeat("x", 100_000), strings.Repeat("a: b\r\n", 10_000),
		} {
			c := r.dial("")
			go io.WriteString(c, text) // its process echoes while it is sent
			number(t, c)
			echoed(t, c, text)
			c.Close()
		}
	}
	// Whoever ends its half is served too; whoever resets is gone.
	s.set("line", p)
	c := r.dial("only this")
	c.(*net.TCPConn).CloseWrite()
	number(t, c)
	echoed(t, c, "only this")
	c = r.dial("")
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	until(t, "nothing is left", func() bool { return r.Pending() == 0 })
}

func TestAffinity_WaitsForItsProcess(t *testing.T) {
	s := newSeats(t)
	r := newRouter(t, s, &router.Options{Patience: time.Hour})
	first, other := newProcess(t, 1), newProcess(t, 2)
	serve(t, first, other)
	s.set("line", first, other)
	key := keyOf(t, r, 1)
	busy := newProcess(t, 1)
	s.set("line", busy, other)
	s.known()
	const n = handoff.Window + 5
	var all []net.Conn
	for range n {
		all = append(all, r.dial(key))
	}
	until(t, "all are there", func() bool { return r.Pending() == n })
	serve(t, busy)
	for _, c := range all {
		if got := number(t, c); got != 1 {
			t.Errorf("served by %d", got)
		}
	}
}

func TestAffinity_DoesNotWaitForeverForItsProcess(t *testing.T) {
	s := newSeats(t)
	r := newRouter(t, s, &router.Options{Patience: 20 * time.Millisecond})
	stuck, other := newProcess(t, 1), newProcess(t, 2)
	serve(t, other)
	s.set("line", stuck)
	const n = handoff.Window + 5
	var all []net.Conn
	for range n {
		all = append(all, r.dial("the same key\n"))
	}
	until(t, "all are there", func() bool { return r.Pending() == n })
	until(t, "no more can be sent", func() bool { _, room, _ := stuck.Load(); return room == 0 })
	s.set("line", stuck, other)
	served := make(chan int, n)
	for _, c := range all {
		go func() {
			var who int
			fmt.Fscanln(c, &who)
			served <- who
		}()
	}
	for range n - handoff.Window {
		if got := <-served; got != 2 {
			t.Errorf("served by %d", got)
		}
	}
	stuck.Listener.Close() // what waits there is free then
	for range handoff.Window {
		if got := <-served; got != 2 {
			t.Errorf("served by %d", got)
		}
	}
}

func TestClose_HandsOverWhatWasAccepted(t *testing.T) {
	s := newSeats(t)
	p := newProcess(t, 1)
	s.set("header:X-Key", p)
	r := newRouter(t, s, &router.Options{KeyWithin: time.Hour})
	var all []net.Conn
	const n = handoff.Window + 3
	for range n {
		all = append(all, r.dial("GET / "))
	}
	until(t, "all are accepted", func() bool { return r.Pending() == n })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.Close(context.Background())
	}()
	serve(t, p)
	for _, c := range all {
		number(t, c)
		echoed(t, c, "GET / ")
	}
	<-closed
	later := r.dial("later") // waits in the kernel for whoever accepts next
	if r.Pending() != 0 {
		t.Error("a closed router accepts")
	}
	later.Close()
}

func TestClose_ClosesWhatNobodyTakes(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newSeats(t)
	stuck := newProcess(t, 1)
	s.set("line", stuck)
	r := newRouter(t, s, nil)
	const n = handoff.Window + 3
	var all []net.Conn
	for range n {
		all = append(all, r.dial("key\n"))
	}
	until(t, "all are there", func() bool { return r.Pending() == n })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Close(ctx)
	stuck.Listener.Close()
	stuck.Finish(time.Minute)
	for _, c := range all {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("somebody serves it")
		}
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("%d are left", n)
	}
	until(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestPause_ReturnsWhenNothingIsHeld(t *testing.T) {
	s := newSeats(t)
	p := newProcess(t, 1)
	s.set("line", p)
	r := newRouter(t, s, nil)
	var all []net.Conn
	for range 3 {
		all = append(all, r.dial("hello\n"))
	}
	until(t, "all are accepted", func() bool { return r.Pending() == 3 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Pause(ctx); fault.KindOf(err) != fault.Busy {
		t.Errorf("got %v while nobody takes anything", err)
	}
	all = append(all, r.dial("hello\n")) // it goes on
	until(t, "it is accepted", func() bool { return r.Pending() == 4 })
	serve(t, p)
	if err := r.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("%d are pending", n)
	}
	all = append(all, r.dial("hello\n")) // waits in the kernel
	for _, c := range all[:4] {
		number(t, c)
	}
	r.Resume()
	number(t, all[4])
}
