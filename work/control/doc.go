// Package control is what a node and its child say to one another over the
// socket pair the child inherits as file descriptor 3.
//
//	node → [start, drain] → child
//	node ← [ready, stats, failed] ← child
//
// Messages are JSON records in line frames, a few per second at most. The child starts
// knowing nothing: it *becomes* what the Start message says. Readiness is a message,
// death is the end of the connection, on both sides: a child whose node is gone leaves.
package control
