// Echoserver is the echo server of "A Curious Course on Coroutines and Concurrency": what a client sends comes back to
// it. There a scheduler and a task for each client had to be written first; here each client has a goroutine, and a
// thousand of them are served at once.
//
//	go run ./examples/echoserver --listen localhost:15000
//
// Talk to it with nc localhost 15000. It prints who comes and who goes:
//
//	Connection from 127.0.0.1:40722
//	Client closed 127.0.0.1:40722
//
// Ctrl-C closes the socket at once, and what is open after two more seconds. With several processes, that
// can be swapped while clients come:
//
//	go run ./cmd/become serve ./examples/echoserver --listen localhost:15000 --procs 2
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/universal-server/become"
)

func main() {
	become.Serve(become.Conn("echoserver", handle, become.ServiceOptions{DrainWithin: 2 * time.Second}))
}

// handle serves one client. Its connection is closed after that.
func handle(_ context.Context, client net.Conn) error {
	fmt.Println("Connection from", client.RemoteAddr())
	defer fmt.Println("Client closed", client.RemoteAddr())
	_, err := io.Copy(client, client)
	return err
}
