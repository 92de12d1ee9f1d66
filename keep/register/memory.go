package register

import (
	"context"
	"sync"
	"sync/atomic"
)

// Memory is a register in this process. The zero value holds 0 and is ready. Below 2⁶⁴-1 it takes no lock.
type Memory struct {
	// word is the value, or noSmall: then digits is. Only a holder of mu moves it
	// away from noSmall.
	word atomic.Uint64

	mu     sync.Mutex
	digits string
}

// Swap is [Swapper]'s. It needs no context, and fails on what is too long only.
func (m *Memory) Swap(_ context.Context, ops []Op) (Number, error) {
	if err := check(ops); err != nil {
		return Number{}, err
	}
	if present, ok := swapWord(&m.word, ops); ok {
		return present, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return swapLong(&m.word, ops, func() (Number, error) { return Number{digits: m.digits}, nil }, func(n Number) error {
		m.digits = n.digits
		return nil
	})
}

// swapWord does the operations on a word that holds small numbers before and after. Otherwise it
// does nothing and is not ok.
func swapWord(word *atomic.Uint64, ops []Op) (present Number, ok bool) {
	for {
		present = Number{small: word.Load()}
		if present.small == noSmall {
			return present, false
		}
		next := after(present, ops)
		switch {
		case next == present: // so it was when the word was loaded
			return present, true
		case next.digits != "":
			return present, false
		case word.CompareAndSwap(present.small, next.small):
			return present, true
		}
	}
}

// swapLong does the operations where a long number may be present before or after. The caller holds the lock
// that guards what load and store are about: the long number, read only while the word is noSmall.
func swapLong(word *atomic.Uint64, ops []Op, load func() (Number, error), store func(Number) error) (present Number, err error) {
	for {
		old := word.Load()
		present = Number{small: old}
		if old == noSmall { // and stays so while the lock is held
			if present, err = load(); err != nil {
				return Number{}, err
			}
		}
		next := after(present, ops)
		switch {
		case next == present:
			return present, nil
		case next.digits == "":
			if word.CompareAndSwap(old, next.small) {
				return present, nil
			}
			continue
		}
		// Whoever sees noSmall waits for the lock before he looks at the long number.
		if err := store(next); err != nil {
			return Number{}, err
		}
		if word.CompareAndSwap(old, noSmall) {
			return present, nil
		}
	}
}

// Value returns the present value.
func (m *Memory) Value() Number {
	n, _ := m.Swap(context.Background(), nil) // no operation is too long
	return n
}

// String returns the present value's decimal digits.
func (m *Memory) String() string { return m.Value().String() }
