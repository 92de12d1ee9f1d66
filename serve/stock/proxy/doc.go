// Package proxy passes TCP connections on to several backends, of which only live ones are used.
//
//	peer → [proxy] → backend
//
// # Which backend
//
// The one with the fewest connections through this proxy, or the next in turn ([Options.RoundRobin]). Each is
// tried every [Options.CheckEvery] by connecting to it. One that cannot be connected to, by such a check or for a
// client, is down until a check succeeds; both are logged. A client whose backend cannot be connected to gets
// another one, as long as nothing was sent. When all are down it waits for the first that is up, for [Options.WaitWithin]; then
// its connection is closed, and that is logged.
//
// # Guarantees
//
//   - Bytes are passed on as package relay says: in order, each side's end by itself, a reset as a reset, by the kernel
//     where much is sent (splice(2) on Linux).
//   - What has been sent to a backend is never sent to another one.
//   - A pair that is silent for [Options.IdleWithin], or a side that takes nothing for that long, is closed.
//   - Above [Options.MaxConns] peers wait in the socket's queue.
//   - A shortage of descriptors or ports here is not taken for a backend's failure.
//   - A proxy that would connect to itself is refused when it starts.
//   - When the context of [Proxy.Serve] ends nothing more is accepted and what is open goes on, until it ends, is
//     closed by the caller, or [Options.DrainTimeout] is over.
//
// A connection costs two descriptors, and while much is sent through it four more (the kernel's pipes).
//
// With [Options.Header] each connection begins with the PROXY protocol's header, version 1 or 2
// (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt), so that backends know their clients. Checks then say that they are
// local ones.
//
// # A first program
//
//	p, err := proxy.New([]string{"127.0.0.1:9001", "127.0.0.1:9002"}, nil)
//	if err != nil {
//		return err
//	}
//	ln, err := net.Listen("tcp", "127.0.0.1:9000")
//	if err != nil {
//		return err
//	}
//	return p.Serve(ctx, []net.Listener{ln})
package proxy
