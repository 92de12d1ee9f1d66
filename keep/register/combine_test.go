package register

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// gathered waits until so many calls wait for the next trip.
func (c *combiner) gathered(t *testing.T, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		c.mu.Lock()
		waiting := len(c.waiting)
		c.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

// far is a register whose trips wait until the test lets them go.
func far(m *Memory) (c *combiner, begun, let chan struct{}) {
	begun, let = make(chan struct{}), make(chan struct{})
	c = newCombiner(func(life context.Context, ops []Op) (Number, error) {
		begun <- struct{}{}
		<-let
		return m.Swap(life, ops)
	})
	return c, begun, let
}

func TestCombiner_WhatIsAskedForMeanwhileTravelsTogether(t *testing.T) {
	const calls = 1000
	var m Memory
	c, begun, let := far(&m)
	var wg sync.WaitGroup
	defer c.close()
	var wins atomic.Int64
	swap := func(old, new uint64) {
		got, err := CAS(t.Context(), c, Uint(old), Uint(new))
		if err != nil {
			t.Error(err)
		} else if got == Uint(old) {
			wins.Add(1)
		}
	}
	wg.Go(func() { swap(0, 1) })
	<-begun
	for i := range uint64(calls) {
		wg.Go(func() { swap(1, i+2) })
	}
	c.gathered(t, calls)
	let <- struct{}{}
	<-begun
	let <- struct{}{}
	wg.Wait()
	if got := c.Trips(); got != 2 {
		t.Errorf("%d trips", got)
	}
	if wins.Load() != 2 {
		t.Errorf("%d operations found what they asked for, want one of each trip", wins.Load())
	}
}

func TestCombiner_ATripHasItsBounds(t *testing.T) {
	long, err := Parse(strings.Repeat("9", MaxDigits))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		ops   []Op
		trips uint64
	}{
		"operations": {make([]Op, MaxOps-1), 5},
		"digits":     {[]Op{{Old: long, New: long}, {Old: long, New: long}, {Old: long, New: long}}, 3}, // 2 calls fit
	} {
		var m Memory
		c, begun, let := far(&m)
		var wg sync.WaitGroup
		wg.Go(func() { c.Swap(t.Context(), nil) })
		<-begun
		for range 4 {
			wg.Go(func() {
				if _, err := c.Swap(t.Context(), test.ops); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		c.gathered(t, 4)
		over := make(chan struct{})
		wg.Go(func() {
			for {
				select {
				case let <- struct{}{}:
				case <-begun:
				case <-over:
					return
				}
			}
		})
		c.wg.Wait()
		close(over)
		wg.Wait()
		if got := c.Trips(); got != test.trips {
			t.Errorf("%s: %d trips, want %d", name, got, test.trips)
		}
		c.close()
	}
}
