// Package cas serves a compare-and-swap register over lines of text, and is its client.
//
//	peers → [cas] → register, of package keep/register
//
// # The protocol
//
// It is that of the "Compare and Swap server" of a lecture on Python servers (port 22222
// there), made robust. A register holds a whole number of any size, 0 at first. A
// line asks for one operation and gets one reply, in order:
//
//	0 1⏎      →  0 LF CR             the present value was 0, and is 1 now
//	0 2⏎      →  1 LF CR             it is 1, and stays so
//	zero 1⏎   →  Bad Syntax LF CR
//
// A line is `\s*\d+\s+\d+\s*` and ends with LF. Blanks are space, tab, VT, FF and CR; digits
// are decimal, with leading zeros if one likes. Each reply ends with LF CR, in this order. A CR
// right after a line's LF belongs to neither line, so that a client may end its lines as
// the server does.
//
// # Guarantees
//
//   - All connections share one register, and operations on it are linearizable. So do all processes, and all nodes,
//     whose settings name the same one; see package register for where it can live. Without any each
//     process has its own.
//   - Segments mean nothing: a line may come in many, and many lines in one; those are done together, by few calls of
//     the register, and answered by few writes.
//   - A line that is too long is one Bad Syntax, and the next line is read well.
//   - At the end of its input a peer still gets all its replies. Half a line there is Bad
//     Syntax, not an operation: its number may have lost digits.
//   - A peer that resets, is silent, sends slowly or does not read loses its own connection only. The memory of a
//     connection is bounded: about 1 KiB for input while idle, else a longest line, 256 operations, and 32 KiB of
//     replies with one more value.
//   - When the context of [Serve] ends nothing more is accepted. Each connection is served on until it is
//     silent for 100 ms, at most for 1 s; every line that was read is answered
//     before it is closed. After [Options.DrainTimeout] connections are cut.
//   - When the register fails (one that lives elsewhere may), the peer's connection is closed
//     without a reply to the lines that were asked together with it: nobody knows what became of them. No
//     reply is ever a guess.
//
// # A first program
//
//	ln, err := net.Listen("tcp", "127.0.0.1:22222")
//	...
//	err = cas.Serve(ctx, ln, nil)
//
// and in another:
//
//	c, err := cas.Dial(ctx, "127.0.0.1:22222")
//	...
//	present, err := c.CAS(ctx, register.Uint(0), register.Uint(1))
package cas
