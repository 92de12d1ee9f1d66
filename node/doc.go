// Package node is the daemon of one machine: it holds the home, runs or joins
// the bus, and turns what bosses want into worker processes. It never runs user code.
//
//	boss → want → [node] → child process → worker
//
// # Guarantees
//
//   - User code runs only in child processes, each with bus credentials of its own that
//     reach the subjects it needs; a child never outlives its node.
//   - A bundle runs only if its manifest is signed by the fleet's key and its code has
//     the manifest's digest, checked at every start.
//   - Processes start when somebody wants them and stop when they are idle; one that dies is
//     replaced at once, with growing back-off when it keeps dying, and given up, visibly, past a limit.
//   - A process that must go is killed with its whole group, and is proven gone before
//     another takes its place.
//   - What children print is kept within a bound.
//
// # A first program
//
//	n, err := node.Start(ctx, node.Options{Home: dir})
//	...
//	defer n.Stop()
package node
