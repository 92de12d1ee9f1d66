// Package task is the wire between a boss and a worker: packs of tasks one
// way, their outcomes the other, in frames of a line.
//
//	boss → [run, cancel, demand] → worker
//	boss ← [outcomes, returned, credit, progress] ← worker
//
// # The conversation
//
// A worker grants each boss credit: how many packs it may have under way. A
// boss sends a pack (one or more tasks of one function) per credit and says with demand
// how many more it could use, so that the worker can share its slots fairly. A pack's tasks
// run one after another in one slot. If that takes longer than [Budget], the worker
// returns those not begun, and the boss sends them elsewhere: a long task never
// hides short ones.
//
// # Guarantees
//
//   - A pack's outcomes come in the order of its tasks, each exactly once per
//     line; the last frame of a pack is marked final and gives back its credit.
//   - Decoding takes no memory beyond the frame; every length is checked first.
package task
