//go:build linux || darwin

package router_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/router"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/wire"
)

// A program that hands its processes over leaves its main thread to package reexec.
func init() {
	if !service.Kept() {
		runtime.LockOSThread()
	}
}

// The test binary is the processes of a keeper too.
func TestMain(m *testing.M) {
	if !service.Kept() {
		os.Exit(reexec.Main(m.Run))
	}
	time.AfterFunc(2*time.Minute, func() { os.Exit(99) }) // never outlive a broken test for long
	if err := service.RunKept(context.Background(), services(), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func services() []service.Service {
	version := ""
	return []service.Service{{
		Name:      "web",
		Configure: func(data json.RawMessage) error { return json.Unmarshal(data, &version) },
		Serve: service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", version, body)
		}), service.HTTPOptions{Grace: 2 * time.Second}),
	}, {
		Name:  "lines", // says its pid and sends back what it gets
		Serve: service.Conn(lines, nil),
	}, {
		Name:      "patient", // is ready once there is a file
		Configure: func(data json.RawMessage) error { return json.Unmarshal(data, &version) },
		Serve:     service.Conn(lines, nil),
		Ready: func(ctx context.Context) error {
			for ctx.Err() == nil {
				if _, err := os.Stat(version); err == nil {
					return nil
				}
				time.Sleep(time.Millisecond)
			}
			return ctx.Err()
		},
	}}
}

func lines(_ context.Context, c net.Conn) error {
	fmt.Fprintln(c, os.Getpid())
	_, err := io.Copy(c, c)
	return err
}

// kept is a keeper behind a router.
type kept struct {
	*keeper.Keeper
	front
	route string
}

func newKept(t *testing.T, route string) kept {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k, err := keeper.New([]keeper.Socket{{Socket: wire.Socket{Network: "tcp", Addr: l.Addr().String(), Route: route}}}, &keeper.Options{StartWithin: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r := router.New(l.(router.Listener), k, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.Close(ctx)
		if err := k.Close(ctx); err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return kept{k, front{r, t, l.Addr().String()}, route}
}

func (k kept) deploy(service, settings string, procs int) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	p := keeper.Program{Path: os.Args[0], Env: []string{"GORACE=atexit_sleep_ms=0"}, Service: service}
	if settings != "" {
		p.Settings = fmt.Appendf(nil, "%q", settings)
	}
	if err := k.Deploy(ctx, p, procs); err != nil {
		k.t.Fatal(err)
	}
}

func (k kept) await(what string, f func(keeper.Status) bool) keeper.Status {
	k.t.Helper()
	for late := time.After(time.Minute); ; {
		changed := k.Changed()
		st := k.Status()
		if f(st) {
			return st
		}
		select {
		case <-changed:
		case <-late:
			k.t.Fatalf("never happened: %s: %+v", what, st)
		}
	}
}

func TestKept_TwentySwapsUnderLoadFailNothing(t *testing.T) {
	for _, route := range []string{"least", "header:X-Client"} {
		t.Run(route, func(t *testing.T) {
			k := newKept(t, route)
			k.deploy("web", "v0", 2)
			files := openFiles(t)
			quit := make(chan struct{})
			var wg sync.WaitGroup
			var answered atomic.Int64
			seen := make(chan string, 1)
			for i := range 8 {
				wg.Go(func() {
					transport := &http.Transport{DisableKeepAlives: i%2 == 0}
					defer transport.CloseIdleConnections()
					for n := 0; ; n++ {
						select {
						case <-quit:
							return
						default:
						}
						version, err := post(k.addr, transport, fmt.Sprint("client ", i, " request ", n))
						if err != nil {
							t.Errorf("client %d: %v", i, err)
							return
						}
						answered.Add(1)
						select {
						case seen <- version:
						default:
						}
					}
				})
			}
			late := time.After(2 * time.Minute)
			for version := range 20 {
				want := fmt.Sprint("v", version+1)
				k.deploy("web", want, 2)
				for got := ""; got != want && !t.Failed(); {
					select {
					case got = <-seen:
					case <-late:
						t.Fatal("a version does not answer")
					}
				}
			}
			close(quit)
			wg.Wait()
			t.Logf("%d requests", answered.Load())
			k.await("the old ones leave", func(st keeper.Status) bool { return len(st.Processes) == 2 })
			until(t, "their descriptors are closed", func() bool { return openFiles(t) <= files })
		})
	}
}

// post sends a text and returns which version sent it back. It is not tried again.
func post(addr string, transport *http.Transport, text string) (version string, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/", strings.NewReader(text))
	if err != nil {
		return "", err
	}
	req.GetBody = nil
	req.Header.Set("X-Client", text)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	version, back, _ := strings.Cut(string(body), " ")
	if err == nil && back != text {
		err = fmt.Errorf("got %q for %q", body, text)
	}
	return version, err
}

// client is a connection to the service lines.
type client struct {
	net.Conn
	r   *bufio.Reader
	pid int
}

func (k kept) client(send string) client {
	c := k.dial(send)
	return client{Conn: c, r: bufio.NewReader(c)}
}

// greeted reads who serves the connection.
func (c *client) greeted(t *testing.T) int {
	t.Helper()
	if _, err := fmt.Fscanln(c.r, &c.pid); err != nil {
		t.Fatal(err)
	}
	return c.pid
}

func (c *client) says(text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got, err := c.r.ReadString('\n')
	if err == nil && got != text {
		err = fmt.Errorf("got %q for %q", got, text)
	}
	return err
}

func TestKept_AKilledProcessLosesOnlyWhatItHasTaken(t *testing.T) {
	k := newKept(t, "least")
	k.deploy("lines", "", 2)
	st := k.await("both are ready", func(st keeper.Status) bool { return len(st.Processes) == 2 && st.Processes[1].State == keeper.Ready })
	victim := st.Processes[0].PID
	var all []client
	for range 6 {
		c := k.client("")
		c.greeted(t)
		all = append(all, c)
	}
	// It stands still: what is sent to it now, it does not take.
	if err := syscall.Kill(victim, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	for { // until all its threads do
		_, err := syscall.Wait4(victim, &status, syscall.WUNTRACED, nil)
		if err == nil && status.Stopped() {
			break
		}
		if !errors.Is(err, syscall.EINTR) {
			t.Fatal(err, status)
		}
	}
	var waiting []client
	for range 8 {
		waiting = append(waiting, k.client("hello\n"))
	}
	until(t, "half of them wait at it", func() bool { return k.Pending() == 4 })
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, c := range waiting {
		if pid := c.greeted(t); pid == victim {
			t.Error("a dead process greets")
		}
		if line, err := c.r.ReadString('\n'); line != "hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
	}
	lost := 0
	for _, c := range all {
		err := c.says("still there?\n")
		if (err != nil) != (c.pid == victim) {
			t.Errorf("a connection of process %d: %v; killed was %d", c.pid, err, victim)
		}
		if err != nil {
			lost++
		}
	}
	if lost != 3 {
		t.Errorf("%d connections are lost, want 3", lost)
	}
}

func TestKept_AffinityOutlivesTheRestartOfOthers(t *testing.T) {
	k := newKept(t, "line")
	k.deploy("lines", "", 3)
	st := k.await("all are ready", func(st keeper.Status) bool { return len(st.Processes) == 3 && allReady(st) })
	number := map[int]int{} // by pid
	for _, p := range st.Processes {
		number[p.PID] = p.Number
	}
	const keys = 15
	key := func(i int) string { return fmt.Sprintf("client %d\n", i) }
	var home [keys]client
	for i := range keys {
		home[i] = k.client(key(i))
		home[i].greeted(t)
		if line, err := home[i].r.ReadString('\n'); line != key(i) {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	victim := home[0].pid
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st = k.await("its successor", func(st keeper.Status) bool {
		return allReady(st) && st.Processes[number[victim]-1].PID != victim
	})
	for _, p := range st.Processes {
		number[p.PID] = p.Number
	}
	until(t, "the router knows the successor", func() bool {
		c := k.client(key(0))
		return number[c.greeted(t)] == number[victim]
	})
	for i := range keys {
		c := k.client(key(i))
		pid := c.greeted(t)
		if number[pid] != number[home[i].pid] {
			t.Errorf("client %d is at process %d, was at %d", i, number[pid], number[home[i].pid])
		}
		if err := home[i].says("go on\n"); (err != nil) != (home[i].pid == victim) {
			t.Errorf("client %d: %v", i, err)
		}
	}
	// A restart by hand, one after another, changes the processes but no number.
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range k.Status().Processes {
		number[p.PID] = p.Number
	}
	for i := range keys {
		c := k.client(key(i))
		if pid := c.greeted(t); number[pid] != number[home[i].pid] {
			t.Errorf("after the restart client %d is at process %d, was at %d", i, number[pid], number[home[i].pid])
		}
	}
}

func allReady(st keeper.Status) bool {
	for _, p := range st.Processes {
		if p.State != keeper.Ready {
			return false
		}
	}
	return true
}

func TestKept_NothingGoesToAProcessThatIsNotReady(t *testing.T) {
	k := newKept(t, "least")
	flag := filepath.Join(t.TempDir(), "flag")
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k.deploy("patient", flag, 1)
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	scaled := make(chan error, 1)
	go func() { scaled <- k.Scale(t.Context(), 2) }()
	k.await("the second has begun", func(st keeper.Status) bool { return len(st.Processes) == 2 && st.Processes[1].PID > 0 })
	first := k.Status().Processes[0].PID
	for range 10 {
		c := k.client("")
		if pid := c.greeted(t); pid != first {
			t.Errorf("served by %d, not %d", pid, first)
		}
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-scaled; err != nil {
		t.Fatal(err)
	}
	until(t, "the second serves", func() bool {
		c := k.client("")
		return c.greeted(t) != first
	})
}

func TestKept_PauseLetsConnectsWait(t *testing.T) {
	k := newKept(t, "least")
	k.deploy("lines", "", 1)
	first := k.client("")
	first.greeted(t)
	first.Close()
	if err := k.Keeper.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []client
	for range 20 {
		all = append(all, k.client("hello\n"))
	}
	if err := k.Keeper.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.greeted(t) == first.pid {
			t.Error("the paused process serves")
		}
	}
	if err := errors.Join(k.Scale(t.Context(), 3), k.Scale(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if line, err := c.r.ReadString('\n'); line != "hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
	}
}

func TestKept_AHandoverThatIsTakenBackLosesNothing(t *testing.T) {
	k := newKept(t, "least")
	k.deploy("lines", "", 2)
	var all []client
	for range 4 {
		c := k.client("")
		c.greeted(t)
		all = append(all, c)
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				c, err := net.Dial("tcp", k.addr)
				if err != nil {
					t.Error(err)
					return
				}
				var pid int
				if _, err := fmt.Fscanln(c, &pid); err != nil {
					t.Error(err)
				}
				c.Close()
			}
		})
	}
	for range 10 {
		if err := k.front.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Handover(t.Context(), new(reexec.Out)); err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if err := all[i].says("meanwhile\n"); err != nil {
				t.Error(err)
			}
		}
		k.TakeBack()
		k.front.Resume()
	}
	close(quit)
	wg.Wait()
	until(t, "the counts have come through", func() bool {
		for _, s := range k.Seats("tcp", k.addr) {
			if open, _, _ := s.Sender.Load(); open != 2 {
				return false
			}
		}
		return true
	})
	k.deploy("lines", "", 1)
	for i := range all {
		if err := all[i].says("still there?\n"); err != nil {
			t.Error(err)
		}
		all[i].Close()
	}
}
