// Package client is a Go program's end of a session with an API: see package session of the doors for the other.
//
//	program ⇄ [client] ⇄ frames ⇄ door
//
// # Guarantees
//
//   - A request ends with its answer, with an error that has a kind, or with its deadline.
//   - The client dials again, with a growing pause of at most 5 s, until it is closed or the server has closed the session
//     for a reason that stays: a handler did, it was refused, the client's messages are wrong. Requests wait for the
//     next session within their deadlines.
//   - When the service goes away in order (1012), as in a swap, what was not answered is sent again: the server has not
//     begun it. When the connection breaks, requests under way fail with fault.Lost: they may have been done.
//   - Pushed messages come to the receivers one after the other, in their order. While MaxQueue of them wait nothing is
//     read: a receiver that is slow for long is cut off by the server, as anybody who does not read.
//   - A server that is gone is noticed by pings.
//   - Close returns when all that the client has started has ended.
//
// # A first program
//
//	c, err := client.Dial(ctx, "http://127.0.0.1:5051", nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	answer, err := c.Ask(ctx, "Multiply", message, reflect.ValueOf(Multiply{1.5, 2.25}))
package client
