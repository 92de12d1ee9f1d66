// Package service runs a service in a process: on sockets of its own, or on those that a
// keeper passed to it.
//
//	socket → keeper → [service] → connection
//
// # Guarantees
//
//   - No connection is taken before the service's own probe has passed, if it has one. A process is ready
//     when the service then waits at each of its sockets.
//   - Draining loses no connection: the service's context ends and its listeners say
//     net.ErrClosed; what still waits in the queue is for the other processes that share the socket; what is
//     open goes on until the deadline and is closed then. A packet socket can be written to until the end.
//   - A service that has a start has it before its first connection, and its stop after the last one, in the same process. A
//     connection that was taken over from HTTP, as of WebSocket, counts until it is closed.
//   - HTTP: an answer that begins after the drain did tells its connection to close. A connection without a request
//     is closed only when it stays so for the grace.
//   - HTTP: an idle connection without TLS is taken from net/http until its next request arrives, and costs about 5 KB then.
//   - HTTP/2 connections are told to go away when the drain begins: what they asked before is answered, what
//     comes after is not processed and asked again elsewhere by the client.
//   - TLS: a service gets connections whose handshake is done, TLS 1.2 or later; a slow or false one holds up
//     nobody and ends after 10 s.
//   - A panic of a connection's function ends that connection only; so does a peer that
//     does not read, writes nonsense or goes away.
//   - Connections above the limits (see package manners) wait in the queue, not in memory. A process out of
//     descriptors waits too, and goes on.
//   - Without a limit of time a connection keeps the system's ways of copying inside the kernel.
//   - Started by a keeper, the process drains by itself when the keeper dies.
//
// # A first program
//
//	s := service.Service{Name: "hello", Serve: service.Conn(func(_ context.Context, c net.Conn) error {
//		_, err := io.WriteString(c, "hello\n")
//		return err
//	}, nil)}
//	if service.Kept() {
//		return service.RunKept(ctx, []service.Service{s}, nil)
//	}
//	sock, err := socket.Open(ctx, socket.Address{Network: "tcp", Addr: "127.0.0.1:8080"})
//	if err != nil {
//		return err
//	}
//	return service.Run(ctx, s, []*socket.Socket{sock}, nil)
package service
