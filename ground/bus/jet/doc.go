// Package jet is the bus on NATS JetStream: an embedded server, one of its own,
// or a cluster, told apart by the URL alone.
//
//	boss, node, worker → [jet] → nats-server
//
// It is the only package that speaks NATS (bus/embed runs the server).
//
// # How contracts become NATS
//
//	Messenger  core subjects; Serve: a subscription with a channel, which several goroutines read
//	Queue      a work-queue stream; Consumer: a durable pull consumer named after its filter
//	Log        a stream with limits
//	KV         a key-value bucket whose reads go to the leader (no direct gets)
//	Blobs      an object store; the leader says what there is, any server gives the chunks
//
// # Guarantees
//
// Those of package bus. What an acknowledgement means is the server's setting: written to the operating
// system (survives kill -9 of the server), or to the disk (survives a power cut). The
// connection is kept up for ever; while it is away, requests wait until their
// context ends. A subscription keeps 65,536 messages that f has no time for, one of Serve 16,384, and 64 MiB of them
// at most; more are dropped, which the log says.
package jet
