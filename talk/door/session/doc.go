// Package session is an API's door for clients that stay: WebSocket (RFC 6455), over which requests go in, and answers
// and pushed messages out, in any order. Package frame says how they are written.
//
//	client ⇄ frames ⇄ [session] ⇄ API
//
// A client may be a page in a browser:
//
//	const ws = new WebSocket("ws://127.0.0.1:5051/")
//	ws.send('{"id":1,"request":"Multiply","value":{"x":1.5,"y":2.25}}')
//
// or a program, see package client.
//
// # Ends
//
// A session ends with a code of RFC 6455 and a reason.
//
//	1000  a handler closed it, or the client
//	1003  a binary message where texts were agreed on, or the other way round
//	1007  a message is no JSON or CBOR
//	1008  it was refused, by a class's Accepted
//	1009  a message is too large
//	1012  the service goes away, and another process is there already: dial again
//
// A handshake that no session comes of is answered with a problem (RFC 9457): 400 for a version, key or subprotocol that is none, 403
// for a page of another origin, 405, 426 when it is no handshake, 503 when there are Options.MaxSessions.
//
// It ends without one when the client is gone, does not read, or does not answer a ping.
//
// # Guarantees
//
//   - The requests of a session run at the same time, up to Options.MaxRequests; the next ones are not read until then. Answers come
//     in any order. What a handler pushed before it returned comes before its answer.
//   - A handler that was quick the last few times and takes long this time holds up its own session for 40 ms at most; any other, and
//     any other session, not at all. One that ends its goroutine (runtime.Goexit) fails its own request alone.
//   - Each request is answered once, within its deadline, with an answer or a problem, unless it had no id.
//   - A problem has the id of its request, which is that of the handshake (X-Request-Id), a point, and the request's own: so do the log and the
//     handler's context.
//   - A request that was not answered before a 1012 was not begun: it can be sent again without being done twice.
//   - Pushing never waits. A client that does not read is cut off when Options.MaxQueue wait for it or a write takes longer than
//     Options.WriteWithin: nobody else notices, and memory is bounded.
//   - A client that is gone is noticed by pings, within Options.PingEvery and Options.PongWithin, also one that sends a
//     message too slowly. The contexts of its requests end then.
//   - A browser's page of another origin is refused with 403 unless Options.Origins names it.
//   - A session that was accepted is told to the API as closed or as abandoned, once.
//
// # A first program
//
//	http.ListenAndServe("127.0.0.1:5051", session.New(crunch, nil))
package session
