// Package engine is the contract between a worker and the code it runs.
//
//	boss → queue → worker → [engine] → result
//
// An engine opens one bundle and runs its functions: native (this program's
// own Go functions), js (JavaScript). A further engine needs nothing but these
// two interfaces: neither worker nor boss knows which one it talks to.
//
// # Guarantees
//
//   - A function's error, panic or refusal is an error from Invoke, never more.
//   - Values are bytes in a [Format] here; only the engine knows types.
package engine
