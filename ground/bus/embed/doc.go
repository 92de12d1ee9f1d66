// Package embed runs the bus inside this process: a nats-server with JetStream
// in a folder. No other package imports the server.
//
//	node → [embed] ← bus/jet ← everybody
//
// # Guarantees
//
//   - Only holders of a ticket of the fleet's key get in, each with the rights of its role;
//     a worker reaches its own bundle's subjects and nothing that administers, a service answers at inboxes and does nothing else.
//   - The server never ends this process and takes no signals; when it fails to start, Start says why.
//   - One folder is served by one process.
//   - Beyond loopback it speaks TLS with an identity signed by the fleet's key.
package embed
