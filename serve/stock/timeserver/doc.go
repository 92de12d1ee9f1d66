// Package timeserver answers every datagram with the local time as text (the "Time
// Server" of David Beazley's course on coroutines; RFC 867 over UDP has the idea).
//
//	peers → [timeserver] → the same peers
//
// The answer is what C's ctime prints, 25 bytes: "Sat Nov 21 10:00:30 2026\n", the day of the month padded with a
// blank. The datagram's own content means nothing; an empty one is answered too.
//
// # Guarantees
//
//   - One datagram is sent for one that is received, to its sender, from the socket it came to, and on Linux from the address
//     that was asked, when the socket is of all addresses; as with all UDP either may be lost on the way.
//   - The answer is never longer than 25 bytes; but an empty or small request is answered by more than
//     it sent: do not offer it to networks where senders' addresses can be forged.
//   - An error about one datagram ends nothing. Memory is constant.
//   - Any number of sockets is served at once, as the example did with ports 15000, 16000 and 17000.
//
// # A first program
//
//	pc, err := net.ListenPacket("udp", "127.0.0.1:15000")
//	...
//	err = timeserver.Serve(ctx, []net.PacketConn{pc}, nil)
package timeserver
