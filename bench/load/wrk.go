package load

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/universal-server/become/bench/rig"
)

// Seen is what wrk saw.
type Seen struct {
	Rate   float64 // answers per second
	P99    float64 // ms
	Failed int     // connects, reads, writes, answers that were late or not 200
}

// Web is wrk's load of 64 connections on a URL.
type Web struct {
	wrk, url string
	conns    int
	script   string // a file; none: GET
}

// NewWeb returns a [rig.Missing] error without wrk.
func NewWeb(url string) (Web, error) {
	wrk, err := rig.Find("wrk")
	return Web{wrk: wrk, url: url, conns: 64}, err
}

// Posting is the load of connections that post what a script of wrk says.
func (w Web) Posting(script string, conns int) Web {
	w.script, w.conns = script, conns
	return w
}

// Rate is a side that returns requests per second. One that fails is an error.
func (w Web) Rate(d time.Duration) rig.Side {
	return func(ctx context.Context) (float64, error) {
		seen, err := w.Run(ctx, d)
		if err == nil && seen.Failed > 0 {
			err = fmt.Errorf("%d requests to %s failed", seen.Failed, w.url)
		}
		return seen.Rate, err
	}
}

// Loosely is Rate for a server of which it is known that requests fail.
func (w Web) Loosely(d time.Duration) rig.Side {
	return func(ctx context.Context) (float64, error) {
		seen, err := w.Run(ctx, d)
		return seen.Rate, err
	}
}

var (
	wrkRate    = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	wrkP99     = regexp.MustCompile(`99% +([0-9.]+[a-z]+)`)
	wrkErrors  = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkRefused = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// Run asks for so long.
func (w Web) Run(ctx context.Context, d time.Duration) (seen Seen, err error) {
	args := []string{"-t2", "-c" + strconv.Itoa(w.conns), "-d" + strconv.FormatFloat(max(1, d.Seconds()), 'f', 0, 64) + "s", "--latency", "--timeout", "10s"}
	if w.script != "" {
		args = append(args, "-s", w.script)
	}
	args = append(args, w.url)
	out, err := exec.CommandContext(ctx, w.wrk, args...).CombinedOutput()
	if err != nil {
		return seen, fmt.Errorf("wrk: %w: %s", err, out)
	}
	rate, p99 := wrkRate.FindSubmatch(out), wrkP99.FindSubmatch(out)
	if rate == nil || p99 == nil {
		return seen, fmt.Errorf("wrk said %q", out)
	}
	if seen.Rate, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return seen, err
	}
	late, err := time.ParseDuration(string(p99[1]))
	seen.P99 = float64(late) / float64(time.Millisecond)
	if found := wrkErrors.FindSubmatch(out); found != nil {
		for _, f := range found[1:] {
			n, _ := strconv.Atoi(string(f))
			seen.Failed += n
		}
	}
	if found := wrkRefused.FindSubmatch(out); found != nil {
		n, _ := strconv.Atoi(string(found[1]))
		seen.Failed += n
	}
	return seen, err
}
