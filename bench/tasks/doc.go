// Package tasks measures functions: calls, jobs and the processes that run
// them, each beside the peer it is held against.
//
//	bench → [tasks] → node, program, peer
//
// Every measure is a file. Ours is always the real thing: a node (become up) as a process,
// its workers as processes, and the boss as another.
package tasks
