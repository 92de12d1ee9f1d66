// Package relay copies between two connections, both ways, until both directions have ended.
//
//	peer ⇄ [relay] ⇄ peer
//
// # Guarantees
//
//   - Every byte arrives, in order. The end of one side's input is passed on at once, while the
//     other direction goes on (half-close).
//   - A side that resets ends both. A side that takes no more ends its direction; what it has sent before still
//     arrives.
//   - A pair that is silent in both directions, or a side that takes nothing of what is sent to it, for the
//     idle time is ended, not earlier and at most half that time later.
//   - A quiet pair costs two goroutines and 4 KiB each way. A side that sends much is copied by
//     the kernel where it can be (splice(2) between sockets on Linux).
//   - [Run] closes both connections before it returns.
//
// # A first program
//
//	backend, err := net.Dial("tcp", "127.0.0.1:9001")
//	if err != nil {
//		return err
//	}
//	return relay.Run(client, backend, 5*time.Minute)
package relay
