package registertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
)

// New makes a register that holds 0, and returns what opens it: each call another view of the same
// one, as from another process if it can be. The test closes what it made at its end.
type New func(t *testing.T) (open func() register.Swapper)

// Exercise runs the whole suite.
func Exercise(t *testing.T, make New) {
	for name, f := range map[string]func(*testing.T, func() register.Swapper){
		"ComparesAndSwaps":         comparesAndSwaps,
		"IsOneForAll":              isOneForAll,
		"DoesABatchAsOne":          doesABatchAsOne,
		"RefusesWhatIsTooLong":     refusesWhatIsTooLong,
		"CountsEveryIncrementOnce": countsEveryIncrementOnce,
		"IsLinearizable":           isLinearizable,
		"KeepsNothingOfTheCaller":  keepsNothingOfTheCaller,
	} {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

// Digits returns the number that a text is.
func Digits(t testing.TB, s string) register.Number {
	t.Helper()
	n, err := register.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// borders are numbers on both sides of every border between ways to keep them.
func borders(t testing.TB) []register.Number {
	return []register.Number{
		register.Uint(0), register.Uint(1), register.Uint(1<<64 - 2), register.Uint(1<<64 - 1),
		Digits(t, "18446744073709551616"), Digits(t, strings.Repeat("9", 30)), Digits(t, "1"+strings.Repeat("0", register.MaxDigits-1)),
	}
}

func expect(t *testing.T, r register.Swapper, old, new, want register.Number) {
	t.Helper()
	if got, err := register.CAS(t.Context(), r, old, new); got != want || err != nil {
		t.Fatalf("CAS(%.30s, %.30s): got %.30s, %v, want %.30s", old, new, got, err, want)
	}
}

func comparesAndSwaps(t *testing.T, open func() register.Swapper) {
	r := open()
	expect(t, r, register.Uint(1), register.Uint(2), register.Uint(0))
	all := borders(t)
	now := register.Uint(0)
	for _, a := range all {
		for _, b := range all {
			expect(t, r, now, a, now)
			expect(t, r, a, b, a)
			expect(t, r, register.Uint(77), a, b) // fails
			expect(t, r, b, b, b)                 // changes nothing
			now = b
		}
	}
}

func isOneForAll(t *testing.T, open func() register.Swapper) {
	a, b := open(), open()
	now := register.Uint(0)
	for i, n := range borders(t) {
		expect(t, []register.Swapper{a, b}[i%2], now, n, now)
		expect(t, []register.Swapper{b, a}[i%2], register.Uint(77), now, n)
		now = n
	}
}

func doesABatchAsOne(t *testing.T, open func() register.Swapper) {
	r := open()
	n := borders(t)
	ops := []register.Op{{Old: n[0], New: n[5]}, {Old: n[1], New: n[2]}, {Old: n[5], New: n[6]}, {Old: n[6], New: n[1]}, {Old: n[1], New: n[3]}}
	if got, err := r.Swap(t.Context(), ops); got != n[0] || err != nil {
		t.Fatalf("got %s, %v", got, err)
	}
	if got, err := r.Swap(t.Context(), nil); got != n[3] || err != nil {
		t.Errorf("it holds %s, %v, want %s", got, err, n[3])
	}
	// Between the two operations of a batch no other comes: 1 is never seen.
	expect(t, r, n[3], n[0], n[3])
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	other := open()
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := other.Swap(t.Context(), []register.Op{{Old: n[0], New: n[1]}, {Old: n[1], New: n[0]}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 100 {
		expect(t, r, n[1], n[5], n[0])
	}
}

func refusesWhatIsTooLong(t *testing.T, open func() register.Swapper) {
	r := open()
	long := Digits(t, strings.Repeat("9", register.MaxDigits+1))
	many := make([]register.Op, register.MaxOps+1)
	for i := range many {
		many[i].New = register.Uint(1)
	}
	large := make([]register.Op, register.MaxBytes/register.MaxDigits+1)
	for i := range large {
		large[i].New = borders(t)[6]
	}
	for name, ops := range map[string][]register.Op{
		"new": {{New: register.Uint(1)}, {Old: register.Uint(1), New: long}}, "old": {{Old: long}}, "many": many, "large": large,
	} {
		if _, err := r.Swap(t.Context(), ops); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	expect(t, r, register.Uint(0), register.Uint(0), register.Uint(0))
	if got, err := r.Swap(t.Context(), many[1:]); got != register.Uint(0) || err != nil {
		t.Errorf("the most at once: %v, %v", got, err)
	}
	expect(t, r, register.Uint(1), register.Uint(0), register.Uint(1))
	if got, err := r.Swap(t.Context(), large[1:]); got != register.Uint(0) || err != nil {
		t.Errorf("the largest at once: %v, %v", got, err)
	}
}

func countsEveryIncrementOnce(t *testing.T, open func() register.Swapper) {
	const clients, each = 6, 30
	var wg sync.WaitGroup
	for range clients {
		r := open()
		wg.Go(func() {
			now := uint64(0)
			for done := 0; done < each; {
				got, err := register.CAS(t.Context(), r, register.Uint(now), register.Uint(now+1))
				if err != nil {
					t.Error(err)
					return
				}
				if got == register.Uint(now) {
					done++
				}
				now = got.Big().Uint64()
			}
		})
	}
	wg.Wait()
	expect(t, open(), register.Uint(clients*each), register.Uint(0), register.Uint(clients*each))
}

// isLinearizable lets clients guess what the register holds and put something into it: few
// values, so that they meet; batches too.
func isLinearizable(t *testing.T, open func() register.Swapper) {
	const clients, each = 4, 40
	values := borders(t)
	var h History
	var wg sync.WaitGroup
	shared := open()
	for id := range clients {
		r := open()
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(id), uint64(time.Now().UnixNano())))
			guess := values[0]
			for i := range each {
				ops := []register.Op{{Old: guess, New: values[random.IntN(len(values))]}}
				for range i % 3 {
					ops = append(ops, register.Op{Old: values[random.IntN(len(values))], New: values[random.IntN(len(values))]})
				}
				via := r
				if i%4 == 0 { // what calls of one view share must not mix them up
					via = shared
				}
				got, err := h.Swap(t.Context(), id, via, ops...)
				if err != nil {
					t.Error(err)
					return
				}
				for _, op := range ops {
					got = op.After(got)
				}
				guess = got
			}
		})
	}
	wg.Wait()
	h.Check(t, porcupine.Ok)
}

func keepsNothingOfTheCaller(t *testing.T, open func() register.Swapper) {
	r := open()
	expect(t, r, register.Uint(0), register.Uint(5), register.Uint(0))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ops := []register.Op{{Old: register.Uint(1), New: register.Uint(2)}}
			if got, err := r.Swap(ctx, ops); err == nil && got != register.Uint(5) {
				t.Errorf("got %s", got)
			}
			ops[0].Old = register.Uint(5) // it is the caller's again
		})
		if i == 10 {
			cancel()
		}
	}
	wg.Wait()
	cancel()
	if got, err := r.Swap(t.Context(), nil); got != register.Uint(5) || err != nil {
		t.Errorf("it holds %v, %v", got, fmt.Sprint(err))
	}
}
