// Factorial is the universal server's first boss: it computes n! for each
// number given, on whatever workers there are, and prints each answer as it comes.
//
//	go run ./examples/factorial 5
//	go run ./cmd/become run ./examples/factorial 1 2 3 4 5 6 7 8 9
//
// Each line is the node and the process that did the work, and n!, exact whatever its size.
package main

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"

	"github.com/universal-server/become"
)

var factorial = become.Func("factorial", func(_ context.Context, n int) (*big.Int, error) {
	if n < 0 {
		return nil, become.NewError(become.Invalid, fmt.Sprintf("%d! is not defined", n))
	}
	return new(big.Int).MulRange(1, int64(n)), nil
}, become.Options{Doc: "computes n! exactly"})

func main() { become.Main(boss) }

func boss(ctx context.Context, fleet *become.Fleet) error {
	numbers, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	for a := range factorial.Map(ctx, fleet, slices.Values(numbers)) {
		if a.Err != nil {
			return a.Err
		}
		fmt.Printf("%s/%d\t%d! = %v\n", a.Worker.Node, a.Worker.PID, a.Input, a.Value)
	}
	return nil
}

func parse(args []string) ([]int, error) {
	if len(args) == 0 {
		args = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}
	}
	numbers := make([]int, len(args))
	for i, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", arg)
		}
		numbers[i] = n
	}
	return numbers, nil
}
