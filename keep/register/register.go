package register

import (
	"context"
	"fmt"

	"github.com/universal-server/become/ground/fault"
)

// Bounds of what one call of Swap takes. More is an error of kind [fault.Invalid].
const (
	// MaxDigits is how many digits a number may have.
	MaxDigits = 64 << 10
	// MaxOps is how many operations travel together.
	MaxOps = 4096
	// MaxBytes is how many digits the numbers of 20 digits and more may have together.
	MaxBytes = 1 << 20
)

// Op asks a register to store New if it holds Old.
type Op struct{ Old, New Number }

// After returns what a register holds after op that held present before.
func (op Op) After(present Number) Number {
	if present == op.Old {
		return op.New
	}
	return present
}

// after returns what a register holds after all ops that held present before.
func after(present Number, ops []Op) Number {
	for i := range ops {
		if present == ops[i].Old {
			present = ops[i].New
		}
	}
	return present
}

// Swapper is a compare-and-swap register, wherever it lives. It is safe for many goroutines.
type Swapper interface {
	// Swap does the operations in their order, no other between them, and returns the value that
	// was present before the first. What each of them found follows from it, see [Op.After]. It keeps
	// nothing of ops.
	//
	// After an error of kind [fault.Invalid] nothing was done. After every other it is not known
	// whether all were or none.
	Swap(ctx context.Context, ops []Op) (present Number, err error)
}

var (
	_ Swapper = (*Memory)(nil)
	_ Swapper = (*File)(nil)
	_ Swapper = (*Stored)(nil)
	_ Swapper = (*Remote)(nil)
)

// CAS is one operation: it stores new if the register holds old, and returns the value that was
// present: old says that new is stored.
func CAS(ctx context.Context, r Swapper, old, new Number) (present Number, err error) {
	op := [1]Op{{old, new}}
	return r.Swap(ctx, op[:])
}

const opSwap = "compare and swap"

// check refuses what no register takes.
func check(ops []Op) error {
	bytes := 0
	for i := range ops {
		old, new := ops[i].Old.long(), ops[i].New.long()
		if old > MaxDigits || new > MaxDigits {
			return fault.Text(fault.Invalid, opSwap, "", fmt.Sprintf("a number of %d digits, the limit is %d", max(old, new), MaxDigits))
		}
		bytes += old + new
	}
	if len(ops) > MaxOps || bytes > MaxBytes {
		return fault.Text(fault.Invalid, opSwap, "", fmt.Sprintf("%d operations with %d digits at once, the limits are %d and %d", len(ops), bytes, MaxOps, MaxBytes))
	}
	return nil
}
