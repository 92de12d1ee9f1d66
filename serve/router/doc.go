// Package router accepts connections and hands each to one of the processes that serve.
//
//	socket → [router] → handoff → process → connection
//
// Usually processes share a socket and the kernel decides which of them accepts. A router is for
// when that matters: connections go where the fewest are, or those that belong together go to the same
// process. The policies:
//
//	least        the process with the fewest open connections
//	ip           by the client's address
//	line         by the first line that the client sends
//	header:NAME  by a field of the first HTTP/1 request's header, as in header:X-Session
//
// All but the first are affinity: a key belongs to a process number, chosen by rendezvous hashing, so that of n
// numbers one more or one less moves 1/n of the keys. A process that dies has its keys back when
// its successor is ready. A connection without a key, or whose key does not come in time, goes to the
// process with the fewest. Line and header are of no use for protocols in which the server speaks first or
// everything is encrypted.
//
// # Guarantees
//
//   - A connection that was accepted is served unless its process dies while it serves it, or the
//     router is closed while no process takes any: what a process has not taken goes to another one. See
//     package handoff.
//   - While no process serves, nothing is accepted: connects wait in the kernel's queue and are not
//     refused.
//   - A key prefers its process, and waits for it up to Options.Patience; then the connection goes to
//     another one.
//   - At most Options.MaxPending connections are in the router's hands, each with at most Options.MaxKey
//     bytes. A client that is slow with its key is not waited for longer than Options.KeyWithin, and
//     shorter if others need the place: it is passed on with what it has sent. Nobody waits for it.
//
// # A first program
//
//	r := router.New(listener, keeper, nil)
//	defer r.Close(ctx)
//
// The keeper's sockets say by their Route that they are served so; package master does all of it.
package router
