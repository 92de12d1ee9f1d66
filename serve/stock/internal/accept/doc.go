// Package accept is the loop that the stock TCP servers share: it accepts
// connections up to a cap, hands each to a function, and drains.
//
//	listener → [accept] → a goroutine per connection
//
// # Guarantees
//
//   - No more than the cap are open. Above it nothing is accepted: further peers
//     wait in the socket's queue, where another process that shares it may take them.
//   - An error of one connection, or a shortage of descriptors, ends nothing else.
//   - [Serve] returns when every connection has ended.
//
// # Draining
//
// When its context ends, the listener is closed (a socket that other processes share stays open in them; of one that no other process has,
// the connections that still wait are reset). A connection is served on until it is silent for [Settle], so that what was sent before its
// peer could know is answered; a busy one for at most [Busy]. Then its writing side is closed, what still comes in is read and dropped for
// a moment, so that no reset overtakes the last answers, and it is closed. What is open after the deadline is cut. With [Settings.Patient]
// there is the deadline only.
package accept
