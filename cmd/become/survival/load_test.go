//go:build linux

package survival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const (
	connections = 64
	// answerWithin is far above what an answer takes on a machine that does other things too.
	answerWithin = 10 * time.Second
)

// required says that these tests may not do with less.
var required = os.Getenv("BECOME_REQUIRE_PEERS") == "1"

// How long a load takes: brief where the same is done at length elsewhere.
var long, brief = 5 * time.Second, 2 * time.Second

func init() {
	if required {
		long, brief = 30*time.Second, 4*time.Second
	}
}

// tally is what a load saw.
type tally struct {
	requests                      int // answered
	connect, read, write, timeout int // failures
	status                        int // answers that were not 200
}

func (a tally) failed() int { return a.connect + a.read + a.write + a.timeout + a.status }

// load is one under way.
type load struct {
	over chan struct{} // closed when it is
	seen tally
	err  error
}

// shape is what a load does.
type shape struct {
	addr  string
	fresh bool // a connection for each request
	for_  time.Duration
}

// put starts a load of requests as fast as they are answered.
func put(t *testing.T, s shape) *load {
	t.Helper()
	wrk, err := exec.LookPath("wrk")
	switch {
	case err == nil:
		return run(t, func(ctx context.Context) (tally, error) { return runWrk(ctx, wrk, s) })
	case required:
		t.Fatal("wrk is not installed")
	}
	return run(t, func(ctx context.Context) (tally, error) { return runClients(ctx, s, nil), nil })
}

func run(t *testing.T, f func(context.Context) (tally, error)) *load {
	l := &load{over: make(chan struct{})}
	go func() {
		defer close(l.over)
		l.seen, l.err = f(t.Context())
	}()
	t.Cleanup(func() { <-l.over }) // the context ends before
	return l
}

// wait returns what the load saw when it is over.
func (l *load) wait(t *testing.T) tally {
	t.Helper()
	<-l.over
	if l.err != nil {
		t.Fatal(l.err)
	}
	t.Logf("%d requests, failed: %d", l.seen.requests, l.seen.failed())
	if l.seen.requests < 100 {
		t.Errorf("only %d requests: that is no load", l.seen.requests)
	}
	return l.seen
}

// each calls f again and again, at this pace or slower, until the load is over, and returns how often.
func (l *load) each(pace time.Duration, f func(i int)) int {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.over:
			return i
		case <-tick.C:
			f(i)
		}
	}
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in `)
	wrkErrors   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

func runWrk(ctx context.Context, wrk string, s shape) (tally, error) {
	args := []string{"-t2", "-c" + strconv.Itoa(connections), "-d" + s.for_.String(), "--timeout", answerWithin.String()}
	if s.fresh {
		args = append(args, "-H", "Connection: close")
	}
	out, err := exec.CommandContext(ctx, wrk, append(args, "http://"+s.addr+"/")...).CombinedOutput()
	if err != nil {
		return tally{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return readWrk(string(out))
}

// readWrk reads what wrk prints. It has no line of errors when there were none.
func readWrk(out string) (a tally, err error) {
	found := wrkRequests.FindStringSubmatch(out)
	if found == nil {
		return a, fmt.Errorf("wrk said %q", out)
	}
	a.requests, _ = strconv.Atoi(found[1])
	if found := wrkErrors.FindStringSubmatch(out); found != nil {
		for i, n := range []*int{&a.connect, &a.read, &a.write, &a.timeout} {
			*n, _ = strconv.Atoi(found[i+1])
		}
	}
	if found := wrkStatus.FindStringSubmatch(out); found != nil {
		a.status, _ = strconv.Atoi(found[1])
	}
	return a, nil
}

func TestReadWrk(t *testing.T) {
	for out, want := range map[string]tally{
		"  686542 requests in 10.02s, 84.49MB read\nRequests/sec:  68494.85\n": {requests: 686542},
		"  9 requests in 1.00s, 1B read\n  Socket errors: connect 1, read 22, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n": {
			requests: 9, connect: 1, read: 22, write: 3, timeout: 4, status: 5},
	} {
		if got, err := readWrk(out); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := readWrk("unable to connect to 127.0.0.1:1 Connection refused\n"); err == nil {
		t.Error("what is no result was read as one")
	}
}
