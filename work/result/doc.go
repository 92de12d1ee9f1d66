// Package result keeps what jobs answered: published to the boss that waits,
// and readable by any process until it ages out.
//
//	worker → [result] → boss, or anybody later
//
// A result record holds the outcomes of consecutive jobs of one queue record. Its subject is
// become_result.<digest>.<boss>.<sequence number>.<first index>, so that a boss
// hears of its own jobs by one subscription and anybody finds a job by its ID.
//
// # Guarantees
//
//   - A job's record leaves the queue only after its result is kept here.
//   - The first result kept for a job is the one readers get, should it have run twice.
package result
