// Package collection keeps items of one type under ids, each changed only by who knows what it is.
//
//	resource → [collection] → memory | bus | a database of yours
//
// Where they are is behind one contract, [Store], of three methods: Get, Swap and List. Everything that changes is one
// compare-and-swap: an item is made, replaced and deleted by Swap, on condition that its revision is still the one that the
// caller knows. Two stores are here:
//
//	Memory   this process; for tests, and for what may be lost
//	Stored   the key-value store of a fleet: one for all processes that open it
//
// Package collectiontest says as tests what a store is.
//
// # Guarantees
//
//   - Swap is linearizable in each item: of several that know the same revision one succeeds, the others get fault.Conflict.
//   - A revision is of one value: no other value of the item, at any time, has the same one, also not after it was
//     deleted and made again, or, in Memory, after the process was started again.
//   - What a store hands out and takes is copied: nobody shares memory with it.
//   - What was stored by another version of the type is read again: see message.Type's Restore.
//   - Memory is bounded: a store in memory refuses with fault.Busy above MaxBytes; a list takes as much as its items, and
//     Stored keeps the ids of all, and in the fleet the keys of those that were deleted too.
//
// # A first program
//
//	var notes collection.Memory[Note]
//
//	made, err := notes.Swap(ctx, "milk", &Note{Text: "buy milk"}, "")        // "" – there is none
//	...
//	_, err = notes.Swap(ctx, "milk", &Note{Text: "bought"}, made.Revision)   // fault.Conflict if somebody was faster
//	_, err = notes.Swap(ctx, "milk", nil, made.Revision)                     // nil deletes
package collection
