// Handoff is the first listing of "Developing scalable services": a process accepts a connection and
// passes the socket to another one, which answers on it.
//
//	go run ./cmd/become serve ./examples/handoff --route least --procs 3 --listen :8080
//
// Here become serve accepts, and passes each socket to the process with the fewest connections; with --route ip
// all those of one client go to the same process. Each connection is answered with
//
//	Baby, I'm so fast
//
// and its process prints whom it has answered. Without a route the processes accept by themselves from one
// shared socket, and alone this program does:
//
//	go run ./examples/handoff --listen :8080
//
// Ask it with nc 127.0.0.1 8080.
package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/universal-server/become"
)

func main() {
	become.Serve(become.Conn("handoff", answer))
}

func answer(_ context.Context, client net.Conn) error {
	if _, err := io.WriteString(client, "Baby, I'm so fast\r\n"); err != nil {
		return err
	}
	fmt.Println("answered", client.RemoteAddr())
	return nil
}
