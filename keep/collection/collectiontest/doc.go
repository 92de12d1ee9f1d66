// Package collectiontest says what a store of items is, as tests: every [collection.Store] passes [Exercise].
//
//	Memory, Stored, a database of yours → [collectiontest]
//
// # Guarantees
//
//   - The tests use ids of their own, so that they can run again on a store that keeps its items.
//   - A store that loses an update, takes a revision for another's, or lists in another order is found.
//
// # A first program
//
//	func TestMine(t *testing.T) {
//		collectiontest.Exercise(t, func(t *testing.T) collection.Store[collectiontest.Value] { return NewMine(t) })
//	}
package collectiontest
