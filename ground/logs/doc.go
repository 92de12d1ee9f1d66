// Package logs keeps what the processes of a node print, on that node, within
// a bound in bytes.
//
//	child's stdout, stderr → [sink → store] → node → client
//
// A [Store] is a folder of numbered segment files, each with one JSON record a
// line. A [Store.Sink] is the writer that cuts a process's output into lines.
//
// # Guarantees
//
//   - The segments never hold more than Options.MaxBytes, to the byte and at any
//     moment: the oldest segment is deleted before the write that would exceed it.
//   - Lines are read in the order they were appended. A line without a time gets the
//     time of its appending.
//   - A line is on its way to the disk within 200 ms, and at once when a reader asks.
//     A crash of the process loses no more than that; a power cut may lose
//     what the system had not written yet. A record torn by a crash is dropped.
//   - [Store.Follow] delivers each line once, at the seam between old and new too. A
//     follower so slow that lines were deleted before it read them is told so. One that ends can begin behind any line again, in
//     another life of the store too ([Store.FollowFrom]).
//   - A sink holds one line of at most [MaxLine] bytes in memory. Above its budget it drops
//     whole lines and says how many; it never makes a process wait for longer than
//     a write to the disk takes.
//   - A window of times holds each line of that time, also when the clock was set meanwhile. A segment that is full ends with the times of its
//     lines, so that a reader of the last five minutes does not go through a gigabyte.
//   - A reader that takes pages ([Store.Page]) holds nothing open between two of them, and misses only what was deleted.
//   - When the disk is full lines are lost, and the first line after says how many.
//
// # A first program
//
//	store, err := logs.Open(dir, nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	out := store.Sink(logs.Line{Worker: "w1", Stream: "stdout"})
//	fmt.Fprintln(out, "hello")
//	out.Close()
//	store.Read(ctx, logs.Query{Count: 10}, func(l logs.Line) error {
//		fmt.Println(l.Worker, l.Text) // w1 hello
//		return nil
//	})
package logs
