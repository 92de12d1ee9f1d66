package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

// How a command notices that it waits for a fleet that is not there.
const (
	lookEvery   = time.Second
	probeWithin = 2 * time.Second
)

// errGone is the cause of a context whose fleet is gone.
var errGone = fault.Text(fault.Lost, "", "", "the node has ended").WithHint("start it again with: become up; it goes on with its jobs")

// gone replaces the error of something that failed because the node is gone.
func gone(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && !errors.Is(err, errGone) {
		return fault.New(fault.Lost, e.Op, e.ID, errGone)
	}
	return err
}

// hold watches the fleet for as long as f of with runs. The returned context ends when
// the fleet cannot come back: its node, found in a home, is gone, and the next one listens elsewhere.
// A fleet that has an address of its own may come back: the person is told, no more.
func (a *app) hold(ctx context.Context, s *session) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	if s.node != nil { // it lives and dies with this process
		return held, func() { cancel(nil) }
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		away := false
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			if s.found != "" && s.stays() {
				continue
			}
			err := s.probe(held)
			switch {
			case held.Err() != nil:
				return
			case err != nil && s.found != "":
				cancel(errGone)
				return
			case err != nil && !away:
				fmt.Fprintf(a.err, "become: the fleet at %s does not answer; waiting for it\n", s.url)
			case err == nil && away:
				fmt.Fprintf(a.err, "become: the fleet at %s is back\n", s.url)
			}
			away = err != nil
		}
	})
	return held, func() {
		cancel(nil)
		wg.Wait()
	}
}

// stays reports whether the node that was found still runs.
func (s *session) stays() bool {
	c, ok, err := home.Find(s.found)
	return err != nil || ok && c.URL == s.url
}

// probe asks the bus for something small.
func (s *session) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	_, err := s.Stores().Names.Get(ctx, "-")
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}
