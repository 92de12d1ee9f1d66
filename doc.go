// Package become runs ordinary Go functions on a fleet of worker processes: on
// this machine with nothing set up, on many with the same program.
//
// # A first program
//
//	var factorial = become.Func("factorial", func(ctx context.Context, n int) (*big.Int, error) {
//		return new(big.Int).MulRange(1, int64(n)), nil
//	})
//
//	func main() { become.Main(boss) }
//
//	func boss(ctx context.Context, fleet *become.Fleet) error {
//		for answer := range factorial.Map(ctx, fleet, slices.Values([]int{1, 2, 3})) {
//			fmt.Println(answer.Worker.PID, answer.Value, answer.Err)
//		}
//		return nil
//	}
//
// The program is boss and worker at once. [Main] looks how the process was
// started: by you, then it is the boss; by a node, then it serves its functions.
// The program ships itself: its executable goes into the fleet under its SHA-256
// digest, once, signed with the fleet's key. With no fleet anywhere the same program runs
// alone, its functions in its own process.
//
// # Calls and jobs
//
// A call ([Function.Call], [Function.Go], [Function.Map], [Function.MapOrdered]) is held by
// this process until it is answered: the fastest way, gone when this process is. A job
// ([Function.Submit]) is on disk before Submit returns, survives every process, and
// its result can be read for 24 hours by any of them ([JobOf]).
//
// # Names
//
// A name stands for code that was deployed, and can become other code while it is in use:
// [Fleet.Deploy] swaps it, [Fleet.Rollback] goes back, [Named] is a function by its name. Calls that run
// end on the version they began on; the next one uses the new version. See examples/patch.
//
// # Guarantees
//
//   - Every call is answered exactly once in its boss. A function may run more than once: its worker can
//     die after the work and before the answer. Both calls and jobs are at-least-once.
//   - A call whose worker dies is running elsewhere at once, without waiting for any timeout.
//   - A function's panic is an error with its stack ([Error].Stack); other tasks of the process go on.
//   - Cancelling a future, or the context of its call, ends the function's context. A function that goes on
//     all the same for the node's grace (5 s) is killed with its process.
//   - Calls of one function begin in the order in which they were started, retries aside. Answers come in any order.
//   - Too many waiting calls block the caller; nothing is dropped.
//   - Memory: at most 65,536 inputs of a Map are under way at once.
//
// # Values
//
// Arguments and answers are values of any type that CBOR or JSON can carry: see package
// ground/codec. Values above 256 KiB travel by reference, through the fleet's store.
//
// # Inside a function
//
// The context is the task's: it ends when the task is cancelled or out of time. [Report]
// sends progress to the caller, [Here] is the fleet for nested calls (the slot is free
// for others while it waits), [RetryAfter] and [GiveUp] steer what happens after an error.
package become
