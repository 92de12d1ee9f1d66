// Package handoff passes connected sockets from the process that accepted them to one
// that serves them, with the bytes that were read from them already.
//
//	socket → router → [handoff] → service → connection
//
// # The protocol
//
// A Unix stream socket pair, of which the receiving process inherits one end:
//
//	sender ──▶ receiver   length uint32 big endian, that many bytes already read; the socket itself
//	                      travels with the first byte (SCM_RIGHTS, see unix(7))
//	sender ◀── receiver   't'  the oldest connection is taken
//	                      'r'  the oldest connection is returned: no descriptor is free
//	                      'e'  a connection that was taken has ended
//
// # Guarantees
//
//   - A connection is served by one process or by none yet. The sender keeps its copy until the receiver
//     has said that it took it, and before that the receiver reads nothing. Whatever a receiver has
//     not taken when it closes its end, dies or is out of descriptors goes back to the sender's
//     owner as it was, to be sent elsewhere: neither draining nor a killed process loses it.
//   - Connections that a process has taken end with it.
//   - The bytes already read are what the receiver reads first, in one piece with the rest.
//   - At most Window connections wait at one receiver, with MaxRead bytes each.
//   - Nonsense from the other side ends the pair with one error. Descriptors that should not
//     have come are closed.
//
// The state of TLS is in the memory of a process and does not travel: a connection is passed
// before its first byte is decrypted.
//
// # Platforms
//
// Linux and macOS. Elsewhere New, Resume and Inherit answer with fault.Invalid.
//
// # A first program
//
//	sender, file, err := handoff.New() // file is inherited by a process
//	if err != nil {
//		return err
//	}
//	err = sender.Send(conn, nil, func(taken bool) {
//		if !taken {
//			conn.Close() // or sent to somebody else
//		}
//	})
//
// And in that process, file being its descriptor 4:
//
//	l, err := handoff.Inherit(4, "tcp", "127.0.0.1:8080")
//	if err != nil {
//		return err
//	}
//	conn, err := l.Accept()
package handoff
