// Package register is one compare-and-swap register for many processes: a whole number of any size,
// 0 at first, that is replaced only by who knows what it is.
//
//	server → [register] → memory | file | line → owner | bus
//
// Where it lives is one of four, behind one contract, [Swapper]:
//
//	Memory   this process
//	File     memory that the processes of a machine share, by a file that all of them map
//	Remote   another process, its owner (see Serve), reached on a line
//	Stored   the key-value store of a fleet
//
// An owner can serve any of them: a node serves its processes a Stored one.
//
// # Guarantees
//
//   - Operations are linearizable, whoever asks for them and wherever: each takes effect at one moment between
//     call and return. A comparison that fails is no exception: it is not answered from what was true before the call.
//   - A batch of operations is done as one, all of it or nothing.
//   - When nobody knows what became of an operation its caller gets an error, never a guess. It may
//     have been done, or be done up to a moment later.
//   - Remote and Stored: operations that are asked for while others travel go together in one round trip.
//   - What an owner receives is checked before it is used; a malformed frame ends its line only.
//   - Memory is bounded: numbers have up to [MaxDigits] digits, and a trip carries up to [MaxOps] operations.
//
// What survives what:
//
//	          a process that uses it dies   its owner dies            the machine dies
//	Memory    –                             lost                      lost
//	File      kept                          –                         lost, or kept in part: do not rely on it
//	Remote    kept                          as the owner's register   as the owner's register
//	Stored    kept                          kept                      as the bus keeps what it acknowledged
//
// # A first program
//
//	reg, err := register.OpenFile("/run/counter")
//	...
//	defer reg.Close()
//	present, err := register.CAS(ctx, reg, register.Uint(0), register.Uint(1))
//	if err == nil && present == register.Uint(0) {
//		fmt.Println("it is 1 now")
//	}
package register
