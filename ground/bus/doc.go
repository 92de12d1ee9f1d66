// Package bus is what every process of a fleet shares: messages, durable
// queues, logs of records, a key-value store and blobs.
//
//	boss → [bus] ← node
//	         ↑
//	       worker
//
// The package holds contracts of one to four methods and nothing else. Two
// true implementations live below it: bus/jet speaks to NATS JetStream
// (embedded by bus/embed, or any cluster by its URL), bus/mem keeps everything
// in this process, for tests and for a program run without a fleet. Both pass
// the one conformance suite in bus/bustest.
//
// # Guarantees
//
//   - Messages: at most once, to whoever is subscribed at that moment, in order per
//     publisher and subject. A subscriber that falls behind loses messages, never
//     memory. Who receives one can answer it only at an inbox, so that nobody writes with another's rights.
//     Served messages are handled beside one another, in no order.
//   - Queue: at least once. Put returns after the entry is kept at the fleet's durability
//     level; an entry stays until it is acknowledged, whoever dies.
//   - Log: what Append acknowledged can be read until its age limit, by any process.
//   - KV: compare-and-swap per key is linearizable. Watch delivers the present state,
//     then every change in order.
//   - Blobs: content is whole or absent, never half.
//   - Bytes handed in are not kept after the call returns; bytes handed out belong to the receiver.
//
// Errors are fault errors: NotFound, Conflict (a compare-and-swap that lost),
// Busy (the store is full; nothing was taken), Denied, Lost (the bus is away).
package bus
