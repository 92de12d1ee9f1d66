// Package native is the engine of a program's own Go functions: full speed,
// trusted, nothing between the worker and the function but its codec.
//
//	worker → [native] → func(context.Context, In) (Out, error)
//
// A panic is an error with its stack (fault.Remote). A function is expected to end when its
// context does; one that does not is the worker's business, not the engine's.
package native
