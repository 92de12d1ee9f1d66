// Package values keeps large values outside of messages: a value is stored
// once under its digest, and its name travels instead.
//
//	boss → [values] → worker        worker → [values] → boss
//
// # Guarantees
//
//   - A value loaded is, byte for byte, the value stored under that name.
//   - Storing the same value twice stores it once.
//   - Values age out with their store (24 hours unless the fleet says otherwise): a
//     job must be done, and its answer read, before that.
package values
