package js_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine/js"
)

func TestInvoke_StopsWhatRuns(t *testing.T) {
	for _, source := range []string{
		`() => { while (true) {} }`,
		`() => { try { while (true) {} } catch (e) {} finally { while (true) {} } }`,
		`async () => { await 1; for (;;) {} }`,
		`() => new Promise(() => { setInterval(() => 1, 1) })`,
		`() => new Promise(() => { setTimeout(() => { while (true) {} }, 1) })`,
		`() => new Promise(ok => setTimeout(ok, 1e6))`,
		`() => { const f = () => Promise.resolve().then(f); return f() }`,
		`() => [3, 2, 1].sort(() => { while (true) {} })`,
		`() => new Array(1e5).fill(0).map(() => { let i = 0; while (i < 1e6) i++ })`,
		`() => ({ get x() { while (true) {} } })`,
		`() => ({ toJSON() { while (true) {} } })`,
		`() => { throw { get message() { while (true) {} } } }`,
		`() => { Promise.reject({ get message() { while (true) {} } }); while (true) {} }`,
		`() => { Promise.reject({ get message() { while (true) {} } }) }`,
		`() => { Promise.reject({ get message() { while (true) {} } }); return { toJSON() { while (true) {} } } }`,
		`() => "a".replace(/a/g, () => { while (true) {} })`,
		`() => { const g = (function*() { while (true) yield 1 })(); for (const x of g) {} }`,
		`() => { console.log({ get x() { while (true) {} } }) }`,
		`() => { const m = new Map(); m[Symbol.iterator] = function*() { while (true) yield [1, 1] }; return m }`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			e := open(t, "exports.f = "+source+"; exports.g = () => 'alive'", &js.Options{Slots: 1})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := invokeIn(ctx, lookup(t, e, "f"), "")
			if !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Deadline {
				t.Errorf("got %v, want deadline", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v to stop", took)
			}
			for range 3 {
				if got, err := invokeIn(t.Context(), lookup(t, e, "g"), ""); got != `"alive"` || err != nil {
					t.Errorf("the next call: got %s, %v", got, err)
				}
			}
		})
	}
}

func TestInvoke_Canceled(t *testing.T) {
	f := lookup(t, open(t, `exports.f = () => { while (true) {} }`, nil), "f")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the boss left")
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	_, err := invokeIn(ctx, f, "")
	if fault.KindOf(err) != fault.Canceled || !errors.Is(err, cause) {
		t.Errorf("got %v (%v)", err, fault.KindOf(err))
	}
	if _, err := invokeIn(ctx, f, ""); fault.KindOf(err) != fault.Canceled {
		t.Errorf("an ended context: got %v", err)
	}
}

// A context that ends while calls return must neither hurt the next call nor lose a slot.
func TestInvoke_CancelRacesReturn(t *testing.T) {
	f := lookup(t, open(t, `let n = 0; exports.f = () => { for (let i = 0; i < 300; i++) n += i; return 1 }`, &js.Options{Slots: 2}), "f")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*7+g)%80)*time.Microsecond)
				if got, err := invokeIn(ctx, f, ""); err != nil && fault.KindOf(err) != fault.Deadline || err == nil && got != "1" {
					t.Errorf("got %s, %v", got, err)
				}
				cancel()
				if got, err := invokeIn(t.Context(), f, ""); got != "1" || err != nil {
					t.Errorf("without a deadline: got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestInvoke_WaitsForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, `exports.slow = () => new Promise(ok => setTimeout(ok, 300)); exports.f = () => 1`, &js.Options{Slots: 1})
		var wg sync.WaitGroup
		wg.Go(func() { invokeIn(t.Context(), lookup(t, e, "slow"), "") })
		synctest.Wait() // it has the slot, and sleeps
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := invokeIn(ctx, lookup(t, e, "f"), ""); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want deadline", err)
		}
		if got, err := invokeIn(t.Context(), lookup(t, e, "f"), ""); got != "1" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
		wg.Wait()
	})
}

func TestInvoke_Concurrently(t *testing.T) {
	f := lookup(t, open(t, `let busy = 0;
		exports.f = async n => { if (busy++) throw new Error("shared"); await new Promise(ok => setTimeout(ok, 1)); busy--; return n * n }`,
		&js.Options{Slots: 4}), "f")
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if got, err := invokeIn(t.Context(), f, fmt.Sprint(n)); err != nil || got != fmt.Sprint(n*n) {
				t.Errorf("f(%d): got %s, %v", n, got, err)
			}
		})
	}
	wg.Wait()
}

func TestInvoke_RuntimesShareNothing(t *testing.T) {
	e := open(t, `let n = 0; globalThis.m = 0; Array.prototype.extra = [];
		exports.f = async wait => { n++; m++; [].extra.push(1); if (wait) await new Promise(ok => setTimeout(ok, wait)); return [n, m, [].extra.length] }`,
		&js.Options{Slots: 2})
	f := lookup(t, e, "f")
	var wg sync.WaitGroup
	for range 2 { // both slots at once: two runtimes, each sees only itself
		wg.Go(func() {
			if got, err := invokeIn(t.Context(), f, "200"); got != "[1,1,1]" || err != nil {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	wg.Wait()
	if got, _ := invokeIn(t.Context(), f, "0"); got != "[2,2,2]" {
		t.Errorf("a runtime forgot: got %s", got)
	}
}

func TestInvoke_LeftOversDoNotReachTheNextCall(t *testing.T) {
	var lines []string
	e := open(t, `exports.leave = () => { setTimeout(() => console.log("late"), 1); return 1 };
		exports.wait = () => new Promise(ok => setTimeout(ok, 20, 2))`,
		&js.Options{Slots: 1, Log: func(_, s string) { lines = append(lines, s) }})
	invokeIn(t.Context(), lookup(t, e, "leave"), "")
	if got, err := invokeIn(t.Context(), lookup(t, e, "wait"), ""); got != "2" || err != nil || len(lines) > 0 {
		t.Errorf("got %s, %v, %q", got, err, lines)
	}
}

func TestClose(t *testing.T) {
	e := open(t, `exports.f = () => 1`, nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := invokeIn(t.Context(), lookup(t, e, "f"), ""); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
}

// A goroutine that stayed would keep its bubble from ending: that is a panic.
func TestNoGoroutinesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lookup(t, open(t, `exports.f = () => new Promise(ok => setTimeout(ok, 1))`, nil), "f")
		for i := range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(500+i*20)*time.Microsecond) // before it is done, and after
			if _, err := invokeIn(ctx, f, ""); (err != nil) != (i < 25) && i != 25 {
				t.Errorf("call %d: %v", i, err)
			}
			cancel()
		}
	})
}
