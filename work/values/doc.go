// Package values keeps large values outside of messages: a value is stored
// once under its digest, and its name travels instead.
//
//	boss → [values] → worker        worker → [values] → boss
//
// # Guarantees
//
//   - A value loaded is, byte for byte, the value stored under that name.
//   - Storing the same value again soon writes nothing.
//   - A value is there for [Store].Last after it was stored the last time (24 hours in a fleet), then
//     it ages out: a job must be done, and its answer read, before that.
package values
