// Package child is the life of a worker process: started by a node knowing
// nothing, it becomes what the node says over the inherited line, and leaves when that
// line ends.
//
//	node → control → [child] → worker → engine
//
// # Guarantees
//
//   - Calls are answered as soon as the process listens; the bus, which only jobs and nested
//     calls need, is connected to meanwhile.
//   - The process ends when its node's end of the line closes, whatever runs.
//   - When the heap passes its limit, running tasks are answered with an error that
//     says so and the process asks to be killed.
package child
