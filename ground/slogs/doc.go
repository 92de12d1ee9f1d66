// Package slogs is how programs log: handlers of log/slog with the levels, tags and the line of a
// quality server, and a default logger whose level can change while the program runs.
//
//	program, framework → log/slog → [slogs] → standard error → a terminal, or the node's log
//
// The line, in Format Seed, is that of Ansar:
//
//	[00205791] 2024-09-19T13:28:32.162 < <00000010>crunch[READY] - Received Multiply from <00000011>
//
// its process, the time (UTC), a tag, the object with its address and its state if it has one, and a text. Where a
// node keeps the line, which knows the process, it begins with the time. The tags:
//
//	OBJECT   + created   X destroyed   > sent   < received or dropped   ( process started   ) ended
//	CONSOLE  ^ milestone
//	WARNING  ? warning   = check
//	FAULT    ! fault
//	TRACE    ~ trace     & sample
//	DEBUG    _ debug
//
// # Guarantees
//
//   - One record is one line, written by one Write; line ends and other control characters in it are escaped.
//   - What is below the level costs one atomic load and no memory.
//   - A level set applies to the next record, of every logger made of the handler.
//   - A program that has set a slog default of its own keeps it; what the package log prints stays as it is.
//   - Parse never fails on what is no such line, it says so.
//
// # A first program
//
//	var level slog.LevelVar
//	level.Set(slogs.LevelDebug)
//	log := slog.New(slogs.New(os.Stderr, &slogs.Options{Level: &level, PID: os.Getpid(), Object: slogs.Object{Addr: 1, Name: "crunch"}}))
//	log.Info("ready", "port", 5051) // [00205791] 2024-09-19T13:28:32.162 ^ <00000001>crunch - ready port=5051
package slogs
