package bustest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Connect opens one more connection to the bus under test. The suite closes it.
type Connect func(t *testing.T) bus.Bus

// patience is how long the suite waits for what must come.
const patience = 60 * time.Second

// Main runs the tests, more of them at a time than there are processors: they
// wait for leases and servers more than they compute.
func Main(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		f.Value.Set("12")
	}
	return m.Run()
}

// Exercise runs the whole suite. Stores are named so that runs on one bus do
// not meet.
func Exercise(t *testing.T, connect Connect) {
	for _, part := range []struct {
		name  string
		tests []func(*bench)
	}{
		{"Messenger", messengerTests}, {"Serve", serveTests}, {"Queue", queueTests}, {"Lease", leaseTests}, {"Log", logTests},
		{"KV", kvTests}, {"Watch", watchTests}, {"Blobs", blobTests}, {"Limits", limitTests}, {"Closing", closingTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range part.tests {
				t.Run(testName(f), func(t *testing.T) {
					t.Parallel()
					f(newBench(t, connect))
				})
			}
		})
	}
}

// testName is the function's own name.
func testName(f func(*bench)) string {
	full := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return full[strings.LastIndexByte(full, '.')+1:]
}

// bench is one test's bus.
type bench struct {
	*testing.T
	connect Connect
	ctx     context.Context
	b       bus.Bus // a connection to begin with
	all     []bus.Bus
}

func newBench(t *testing.T, connect Connect) *bench {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	h := &bench{T: t, connect: connect, ctx: ctx}
	h.b = h.other()
	return h
}

// other opens one more connection.
func (h *bench) other() bus.Bus {
	h.Helper()
	b := h.connect(h.T)
	h.Cleanup(func() { b.Close() })
	h.all = append(h.all, b)
	return b
}

var names atomic.Uint64

// name returns a name nobody used.
func name() string { return fmt.Sprintf("t%d_%d", os.Getpid(), names.Add(1)) }

func (h *bench) queue(b bus.Bus, spec bus.Spec) bus.Queue {
	h.Helper()
	return must(b.Queue(h.ctx, spec))(h)
}

func (h *bench) log(b bus.Bus, spec bus.Spec) bus.Log {
	h.Helper()
	return must(b.Log(h.ctx, spec))(h)
}

func (h *bench) kv(b bus.Bus, spec bus.Spec) bus.KV {
	h.Helper()
	return must(b.KV(h.ctx, spec))(h)
}

func (h *bench) blobs(b bus.Bus, spec bus.Spec) bus.Blobs {
	h.Helper()
	return must(b.Blobs(h.ctx, spec))(h)
}

// must fails the test on an error: must(f())(h).
func must[T any](v T, err error) func(*bench) T {
	return func(h *bench) T {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
		return v
	}
}

func (h *bench) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// kind fails the test unless err is of a kind.
func (h *bench) kind(what string, err error, want fault.Kind) {
	h.Helper()
	if err == nil {
		h.Errorf("%s: no error, want %v", what, want)
	} else if got := fault.KindOf(err); got != want {
		h.Errorf("%s: %v error, want %v: %v", what, got, want, err)
	}
}

// next returns what comes out of a channel.
func next[T any](h *bench, c <-chan T) T {
	h.Helper()
	select {
	case v := <-c:
		return v
	case <-h.ctx.Done():
		h.Fatal("nothing came")
		panic("unreachable")
	}
}

// until asks again and again until the answer is yes.
func (h *bench) until(what string, yes func() bool) {
	h.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			h.Fatal("it never came true: " + what)
		}
	}
}
