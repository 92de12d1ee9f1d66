// Timeserver is the time server of "A Curious Course on Coroutines and Concurrency": whoever sends a datagram, whatever
// is in it, is told the local time. The course runs three of them at once, on ports 15000, 16000 and 17000; here
// one service has the three sockets.
//
//	go run ./examples/timeserver --listen udp://localhost:15000 --listen udp://localhost:16000 --listen udp://localhost:17000
//
// Ask it with
//
//	echo | nc -u -w 1 localhost 16000
//
// which prints a line as Sat Nov 21 10:00:30 2026. Any number of processes can share the sockets, and change their
// version meanwhile: go run ./cmd/become serve ./examples/timeserver --listen ... --procs 2. The server that comes
// with become does the same: go run ./cmd/become serve time.
package main

import (
	"context"
	"net"
	"time"

	"github.com/universal-server/become"
)

func main() {
	become.Serve(become.Packet("timeserver", tell))
}

// tell is called once for each socket. It ends when the socket is closed.
func tell(_ context.Context, socket net.PacketConn) error {
	request := make([]byte, 64<<10) // the longest there is
	for {
		_, peer, err := socket.ReadFrom(request)
		if err != nil {
			return err
		}
		// One that cannot be reached is no reason to end.
		socket.WriteTo([]byte(time.Now().Format(time.ANSIC)+"\n"), peer)
	}
}
