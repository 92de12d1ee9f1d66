// Package fault is the one error type that crosses processes and doors.
//
// An error that travels from a function in a worker to its boss, or from a
// node to the command line, is an [Error]: a [Kind] out of a small closed set,
// the operation that failed, what it failed on, and the cause. The kind and
// the whole chain of causes survive the wire ([Marshal], [Unmarshal]).
//
// # Guarantees
//
//   - [KindOf] never guesses from text: it looks at the chain with errors.As and
//     understands context.Canceled and context.DeadlineExceeded.
//   - An unmarshalled error answers errors.Is(err, context.DeadlineExceeded) and
//     errors.Is(err, context.Canceled) as the original did.
//   - Decoding is bounded: at most [MaxDepth] causes, [MaxText] bytes of text each.
//
// # A first program
//
//	err := fault.New(fault.NotFound, "find function", "square", nil)
//	fmt.Println(err)               // cannot find function square: not found
//	fmt.Println(fault.KindOf(err)) // not found
package fault
