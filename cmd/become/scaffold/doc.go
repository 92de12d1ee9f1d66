// Package scaffold writes a new module: a typed API with its test, ready to run.
//
//	err := scaffold.Write(ctx, scaffold.Module{Dir: "crunch", Name: "crunch", Path: "crunch", Replace: "/src/become"})
//
// # Guarantees
//
//   - A folder that holds anything is left alone.
//   - What was written is removed again when the module cannot be completed.
package scaffold
