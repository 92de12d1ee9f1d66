package register_test

import (
	"context"
	"fmt"

	"github.com/universal-server/become/keep/register"
)

func Example() {
	ctx, reg := context.Background(), new(register.Memory) // or register.OpenFile, Dial, NewStored
	present, _ := register.CAS(ctx, reg, register.Uint(0), register.Uint(1))
	fmt.Println("it was", present, "and is", reg)
	present, _ = register.CAS(ctx, reg, register.Uint(0), register.Uint(2))
	fmt.Println("it was", present, "and is", reg)

	// Several operations are done as one. What each of them found follows from the value before the first.
	ops := []register.Op{{Old: register.Uint(1), New: register.Uint(5)}, {Old: register.Uint(9), New: register.Uint(6)}}
	present, _ = reg.Swap(ctx, ops)
	for _, op := range ops {
		fmt.Println(op.Old, "→", op.New, "found", present)
		present = op.After(present)
	}
	// Output:
	// it was 0 and is 1
	// it was 1 and is 1
	// 1 → 5 found 1
	// 9 → 6 found 5
}
