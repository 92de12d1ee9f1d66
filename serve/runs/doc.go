// Package runs remembers the processes of a node's services: when each began, how long it lived and why it
// ended.
//
//	keeper → [journal] → files in the node's home → become history
//
// A role has one file, one line of JSON for a start and one for an end. A process whose end nobody saw, because
// the node was killed with it, is closed when the journal is opened the next time: it ended about when the node was last
// alive, which Beat notes.
//
// # Guarantees
//
//   - Each run that began ends in the journal, with a reason unless it left as it was told.
//   - Of each role the newest runs are kept, Most of them, and those that go on. Its file is at most a few times as long.
//   - A damaged line, such as half of one after a power cut, costs that line.
//   - A full disk costs the memory of the runs in the time, nothing else.
//
// # A first program
//
//	j, err := runs.Open(dir, func(runs.Run) bool { return false }) // no process of before goes on
//	if err != nil {
//		return err
//	}
//	j.Note("crunch", runs.Run{Generation: 1, Process: 1, PID: pid, Started: time.Now()})
package runs
