// Package boss hands out calls: it holds each until it is answered, finds
// workers, and sends packs of calls straight to them.
//
//	[boss] → line → worker
//	[boss] ← bus ← node      (which workers there are)
//
// # Guarantees
//
//   - A call is answered exactly once: with the function's answer or error, or with why there
//     is none.
//   - A call whose worker died is sent elsewhere at once, up to its tries. One that may have
//     killed its worker travels alone from then on, and its last try runs in a process of
//     its own, so that it can hurt nobody else.
//   - A worker that says nothing for 16 s while it has calls is taken for dead.
//   - Calls of one function begin in the order they were started, retries aside; functions take turns.
//   - Start blocks while too many calls are held, and says so if its context ends.
//   - Small calls of one function travel together; nobody waits for a pack to fill.
package boss
