package cas

import (
	"context"
	"sync"
	"sync/atomic"
)

// Swapper is a compare-and-swap register, wherever it lives: a [Register] in
// this process, a [Client] of one in another. It is safe for many goroutines.
type Swapper interface {
	// CAS stores new if the present value is old, in one step that no other comes between,
	// and returns the value that was present: old says that new is stored. An error
	// says that it is not known whether it is.
	CAS(ctx context.Context, old, new Number) (present Number, err error)
}

var (
	_ Swapper = (*Register)(nil)
	_ Swapper = (*Client)(nil)
)

// Register is a compare-and-swap register in memory. The zero value holds 0. It is safe
// for many goroutines and linearizable; below 2⁶⁴-1 it takes no lock.
type Register struct {
	// word is the value, or noSmall: then digits is. Only a holder of mu moves it
	// away from noSmall.
	word atomic.Uint64

	mu     sync.Mutex
	digits string
}

// CAS is [Swapper]'s; it asks for no context and never fails.
func (r *Register) CAS(_ context.Context, old, new Number) (Number, error) {
	return r.Swap(old, new), nil
}

// Swap stores new if the present value is old, and returns the value that was present.
func (r *Register) Swap(old, new Number) (present Number) {
	if old.digits != "" || new.digits != "" {
		return r.swapLarge(old, new)
	}
	for {
		word := r.word.Load()
		switch {
		case word == noSmall:
			return r.swapLarge(old, new)
		case word != old.small:
			return Number{small: word}
		case r.word.CompareAndSwap(word, new.small):
			return old
		}
	}
}

// swapLarge is Swap where the present value, old or new is large.
func (r *Register) swapLarge(old, new Number) (present Number) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		word := r.word.Load()
		if word == noSmall { // and stays so while mu is held
			present = Number{digits: r.digits}
			if present != old {
				return present
			}
			if new.digits != "" {
				r.digits = new.digits
				return present
			}
			r.digits = ""
			r.word.Store(new.small)
			return present
		}
		present = Number{small: word}
		if present != old {
			return present
		}
		if new.digits == "" {
			if r.word.CompareAndSwap(word, new.small) {
				return present
			}
			continue
		}
		// Whoever sees noSmall waits for mu before it looks at digits.
		r.digits = new.digits
		if r.word.CompareAndSwap(word, noSmall) {
			return present
		}
	}
}

// Value returns the present value.
func (r *Register) Value() Number {
	if word := r.word.Load(); word != noSmall {
		return Number{small: word}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if word := r.word.Load(); word != noSmall {
		return Number{small: word}
	}
	return Number{digits: r.digits}
}

// String returns the present value's decimal digits.
func (r *Register) String() string { return r.Value().String() }
