package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/rig"
)

// swaps is how many versions follow one another while the load lasts, all turns together.
const swaps = 20

// swapped: the latency of the slowest hundredth of requests while the version changes every one and a half seconds,
// beside that of a quiet time just before or after, and how many failed.
func swapped(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	ours, err := c.hello(ctx, 2)
	if err != nil {
		return nil, err
	}
	w, err := load.NewWeb("http://" + ours.addr + "/")
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		return []rig.Row{{Measure: "p99 during swaps", Missing: missing.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	rounds := max(1, b.Rounds/2)
	each, pause := (swaps+rounds-1)/rounds, 1500*time.Millisecond
	if b.Quick || b.Tiny {
		rounds, each = 1, 2
	}
	d := time.Duration(each) * pause
	failed := 0
	quiet := func(ctx context.Context) (float64, error) {
		seen, err := w.Run(ctx, d)
		failed += seen.Failed
		return seen.P99, err
	}
	swapping := func(ctx context.Context) (float64, error) {
		over := make(chan error, 1)
		go func() { over <- ours.swapEvery(ctx, pause, each) }()
		p99, err := quiet(ctx)
		return p99, errors.Join(err, <-over)
	}
	t, err := rig.TakeTurns(ctx, rounds, swapping, quiet)
	if err != nil {
		return nil, err
	}
	n := rounds * each
	row := t.Compare(rig.Row{Measure: fmt.Sprintf("p99 during %d swaps, 64 connections", n), Unit: "ms", Peer: "undisturbed", Goal: rig.AtMostTimes(2)}, 0, 1)
	return []rig.Row{row, {Measure: fmt.Sprintf("failed requests during %d swaps", n), Us: float64(failed), Goal: rig.AtMost(0)}}, nil
}

// swapEvery swaps n times, the first time after half a pause.
func (s *server) swapEvery(ctx context.Context, pause time.Duration, n int) error {
	next := time.NewTimer(pause / 2)
	defer next.Stop()
	for range n {
		select {
		case <-next.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		next.Reset(pause)
		if err := s.swap(ctx); err != nil {
			return err
		}
	}
	return nil
}

// replaced: the only process of a service is killed, and somebody asks at once.
func replaced(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	ours, err := c.hello(ctx, 1)
	if err != nil {
		return nil, err
	}
	var took []float64
	for range b.Size(20, 1) {
		ms, err := ours.killAndAsk(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, ms)
		time.Sleep(400 * time.Millisecond) // it has been steady: the next death is an accident too
	}
	return []rig.Row{{
		Measure: "killed process replaced and accepting after", Unit: "ms", Us: rig.Median(took), Goal: rig.AtMost(100),
		Note: fmt.Sprintf("the slowest of %d times %.1f ms", len(took), rig.Quantile(took, 1)),
	}}, nil
}

// killAndAsk returns the ms from the kill to the answer of another process.
func (s *server) killAndAsk(ctx context.Context) (float64, error) {
	all, err := s.processes()
	if err != nil || len(all) != 1 {
		return 0, fmt.Errorf("%d processes: %w", len(all), err)
	}
	began := time.Now()
	if err := syscall.Kill(all[0], syscall.SIGKILL); err != nil {
		return 0, err
	}
	for { // else it could still accept
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/fd/0", all[0])); err != nil {
			break
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	res.Body.Close()
	if line, err := s.Line(ctx); err != nil { // become serve tells of it
		return 0, fmt.Errorf("%s: %w", line, err)
	}
	return float64(took) / float64(time.Millisecond), nil
}
