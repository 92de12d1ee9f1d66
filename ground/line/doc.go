// Package line is an authenticated connection of length-prefixed messages
// between two processes: boss and worker, node and child.
//
//	boss → [line] → worker        node → [line] → child
//
// # The protocol
//
// Both ends hold the same secret token. Before anything is parsed each proves
// to the other that it knows it, with HMAC-SHA-256 over both nonces (the scheme
// of Python's multiprocessing and of ISO/IEC 9798-4, mutual):
//
//	client → "BCM1" nonce(16)
//	server → nonce(16) HMAC(token, "server" client-nonce server-nonce)
//	client → HMAC(token, "client" client-nonce server-nonce)
//	server → 'y' | 'n'
//
// Then frames follow in both directions: length uint32 big endian, body. The
// length is checked against [Options.MaxFrame] before memory is taken.
//
// # Guarantees
//
//   - Frames arrive whole and in order, or the line ends. The end of a line is the
//     death of the other process: no timeout is waited for on one machine. Over a Unix
//     socket, what it sent before is received first.
//   - Frames sent at the same time by several goroutines leave in one system call
//     where they can; nobody waits for a timer.
//   - Memory is bounded: [Conn.Send] blocks while [Options.MaxBuffered] bytes wait,
//     and a peer that does not read for [Options.WriteTimeout] loses the line.
//   - A line whose reading is interrupted, by a deadline of its connection, loses nothing: it can go on,
//     or another one takes its place ([Conn.Detach]).
//   - A peer without the token, too slow with its handshake, or with an oversize frame is
//     refused, and nobody else notices.
package line
