package js

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dop251/goja"
)

var errNeverSettles = errors.New("promise never settles: nothing is pending that could settle it")

// loop is the timers of the call that runs, soonest first. Promise jobs need
// no queue here: the interpreter runs them whenever a call into it returns.
type loop struct {
	timers []timer
	last   int64
}

type timer struct {
	id    int64
	at    time.Time
	every time.Duration // 0: once
	call  goja.Callable
	args  []goja.Value
}

func (l *loop) reset() {
	clear(l.timers)
	l.timers = l.timers[:0]
}

// add sets a timer. Timers of one instant run in the order they were set.
func (l *loop) add(call goja.Callable, after time.Duration, repeat bool, args []goja.Value) int64 {
	l.last++
	t := timer{id: l.last, at: time.Now().Add(after), call: call, args: args}
	if repeat {
		t.every = after
	}
	l.insert(t)
	return t.id
}

func (l *loop) insert(t timer) {
	i, _ := slices.BinarySearchFunc(l.timers, t, func(a, b timer) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1
	})
	l.timers = slices.Insert(l.timers, i, t)
}

func (l *loop) remove(id int64) {
	l.timers = slices.DeleteFunc(l.timers, func(t timer) bool { return t.id == id })
}

// step sleeps until the next timer and runs it. errNeverSettles: there is none.
func (l *loop) step(ctx context.Context) error {
	if len(l.timers) == 0 {
		return errNeverSettles
	}
	t := l.timers[0]
	if wait := time.Until(t.at); wait > 0 {
		alarm := time.NewTimer(wait)
		defer alarm.Stop()
		select {
		case <-alarm.C:
		case <-ctx.Done():
			return errInterrupted
		}
	}
	l.timers = slices.Delete(l.timers, 0, 1)
	if t.every > 0 {
		t.at = time.Now().Add(t.every)
		l.insert(t)
	}
	_, err := t.call(goja.Undefined(), t.args...)
	return err
}
