package examples_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become"
)

// What is said in examples/chat.
type (
	Join  struct{ Name string }
	Say   struct{ Text string }
	Here  struct{ Names []string }
	Heard struct{ By int }
	Said  struct{ From, Text string }
)

// guest is somebody in the room, who joins again in each new one.
type guest struct {
	*become.Client
	said chan Said
	here chan Here
}

func enter(t *testing.T, ctx context.Context, addr, name string, cbor bool) guest {
	t.Helper()
	g := guest{said: make(chan Said, 10_000), here: make(chan Here, 10_000)}
	var err error
	g.Client, err = become.DialAPI(ctx, addr, become.DialOptions{
		CBOR: cbor,
		Receivers: []become.Receiver{
			become.Receive(func(_ context.Context, m Said) { g.said <- m }),
			become.Receive(func(_ context.Context, m Here) { g.here <- m }),
		},
		Opened: func(ctx context.Context, c *become.Client) error {
			_, err := become.Ask[Here](ctx, c, Join{name})
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// with waits until these are in the room.
func (g guest) with(t *testing.T, names ...string) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case h := <-g.here:
			if slices.Equal(h.Names, names) {
				return
			}
		case <-late:
			t.Fatalf("%v were never here", names)
		}
	}
}

// chat is two people who talk, and one who is refused.
func chat(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ann, joe := enter(t, ctx, addr, "Ann", false), enter(t, ctx, addr, "Joe", true)
	ann.with(t, "Ann", "Joe")
	if heard, err := become.Ask[Heard](ctx, joe.Client, Say{"hello"}); heard.By != 2 || err != nil {
		t.Errorf("heard by %v, %v", heard, err)
	}
	for _, g := range []guest{ann, joe} {
		if got := <-g.said; got != (Said{"Joe", "hello"}) {
			t.Errorf("got %v", got)
		}
	}
	stranger, err := become.DialAPI(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	for want, ask := range map[become.Kind]func() error{
		become.Denied:   func() error { _, err := become.Ask[Heard](ctx, stranger, Say{"let me in"}); return err },
		become.Conflict: func() error { _, err := become.Ask[Here](ctx, stranger, Join{"Joe"}); return err },
		become.Invalid:  func() error { _, err := become.Ask[Here](ctx, stranger, Join{}); return err },
	} {
		if err := ask(); become.KindOf(err) != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	joe.Close()
	ann.with(t, "Ann")
	if page := get(t, "http://"+addr+"/chat"); !strings.Contains(page, "new WebSocket(") {
		t.Errorf("the page is %s", page)
	}
	if got := get(t, "http://"+addr+"/Join?name=Bob"); !strings.Contains(got, "open a session") {
		t.Errorf("without a session: %s", got)
	}
	stranger.Close()
	ann.Close()
	interrupt()
	if p.alone && runtime.GOOS != "windows" {
		swapChat(t, p)
	}
}

// swapChat swaps the room's processes while people talk: nothing that they say is lost.
func swapChat(t *testing.T, p program) {
	addr, out, end := p.served(t, "--procs", "1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said atomic.Int64
	var talk sync.WaitGroup
	quit := make(chan struct{})
	for i := range 4 {
		g := enter(t, ctx, addr, fmt.Sprint("guest ", i), i%2 == 0)
		talk.Go(func() {
			defer g.Close()
			for {
				select {
				case <-quit:
					return
				default:
				}
				if _, err := become.Ask[Heard](ctx, g.Client, Say{"hello"}); err != nil {
					t.Error(err)
					return
				}
				said.Add(1)
			}
		})
	}
	const swaps = 5
	for n := range swaps {
		before := said.Load()
		for said.Load() < before+50 && ctx.Err() == nil && !t.Failed() {
			runtime.Gosched()
			time.Sleep(time.Millisecond)
		}
		out.process.Signal(syscall.SIGHUP)
		out.until(t, "a swap", func() bool { return out.count("become: swapped") > n })
	}
	close(quit)
	talk.Wait()
	end()
	total := 0
	for line := range strings.Lines(out.String()) {
		var n int
		if i := strings.Index(line, "messages: "); i >= 0 {
			fmt.Sscanf(line[i:], "messages: %d", &n)
		}
		total += n
	}
	if total != int(said.Load()) || out.count("messages: ") != swaps+1 {
		t.Errorf("%d were said, %d were done\n%s", said.Load(), total, out)
	}
	http.DefaultClient.CloseIdleConnections()
}
