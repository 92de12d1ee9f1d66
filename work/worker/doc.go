// Package worker runs tasks in a process of its own: packs that come over
// lines from bosses, and jobs that it pulls from the queue, in a fixed number of slots.
//
//	boss → line → [worker] → engine
//	queue → [worker] → result
//
// # Guarantees
//
//   - At most Slots packs run at a time; a task that waits for a nested call does not count.
//   - A line is read at any time, whatever runs: cancelling always gets through.
//   - A pack that takes longer than task.Budget keeps only the task that is running.
//   - Slots are shared among the bosses that want them, and with jobs.
//   - Jobs of a function that has no slot left let others pass, unless 32 records of them are at hand.
//   - Jobs that it has at hand and cannot begin for a second are left to other workers.
//   - A task that is cancelled, or out of time, and does not end within Grace is answered
//     with an error, and the process is given up (Leave): nothing else can stop Go code.
//   - A boss's tasks are cancelled when its line ends.
package worker
