// Package echo serves connections by sending back what they send (RFC 862, and the
// "Echo Server" of David Beazley's course on coroutines).
//
//	peers → [echo] → the same peers
//
// # Guarantees
//
//   - Every byte comes back, in order, and all of them before the connection is closed after the end
//     of the peer's input.
//   - A peer that resets, is silent or does not read loses its own connection only. A connection costs 4 KiB, or
//     64 KiB while its peer sends much.
//   - When the context of [Serve] ends nothing more is accepted. Each connection is served on
//     until it is silent for 100 ms, at most for 1 s, and what was read is sent back before it is
//     closed. After [Options.DrainTimeout] connections are cut.
//   - Each connection is logged as "Got connection from" and "Client closed".
//
// # A first program
//
//	ln, err := net.Listen("tcp", "127.0.0.1:15000")
//	...
//	err = echo.Serve(ctx, ln, nil)
package echo
