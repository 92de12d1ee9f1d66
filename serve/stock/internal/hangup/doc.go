// Package hangup tells when a connection is over that somebody else reads: a program
// that it was given to, or the kernel that copies it.
//
//	peer → connection → [hangup] → who serves it
//
// A connection has hung up when neither direction works any more: the peer has reset it, or both sides
// have ended theirs. A peer that has only ended its input has not.
//
// # Guarantees
//
//   - Not a byte is read, and the connection's flags stay as they are.
//   - A wait costs no thread; it ends when the connection is closed here, or by its read deadline.
//     Whoever reads the connection in this process waits for its end.
//
// # A first program
//
//	go func() {
//		if hangup.Wait(conn) == nil {
//			child.Kill()
//		}
//	}()
package hangup
