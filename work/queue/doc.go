// Package queue keeps jobs until they are done: records of one or more tasks
// in the fleet's durable queue, their order, retries and dead letters.
//
//	boss → [queue] → worker → result
//
// # Jobs and records
//
// A record is one entry of the bus queue and holds the tasks that were submitted at the
// same moment: however many callers submit at once, one write (and one fsync) keeps
// them all. A job is one task of a record; its [ID] is the record's sequence number and its place
// in it, "48213.7". A job that has to be tried again, or that was not begun in time, gets a record
// of its own and keeps its ID.
//
// # Guarantees
//
//   - A job that Submit returned is on disk at the fleet's durability level; it runs at
//     least once, whoever dies.
//   - A job ends in exactly one way for its readers: its first kept result.
//   - A job that fails is tried again with growing delay; after its last try it is a dead
//     letter with its error, never silence.
//   - A job that killed its worker runs alone from then on.
//   - A job is pinned to the bundle it was submitted for.
package queue
