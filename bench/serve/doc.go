// Package serve measures services: what sits between a socket and a program's handler, and what happens when
// a process dies or its version changes, each beside the peer it is held against.
//
//	bench → [serve] → become serve, peer ← load
//
// Every measure is a file or part of one. Ours is always the built command with processes behind
// its keeper; the load comes from other processes, the same for both sides.
package serve
