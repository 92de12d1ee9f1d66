// Package bustest is the conformance suite of package bus: what every
// implementation of the contracts must do, as tests.
//
//	[bustest] → bus/mem, bus/jet (embedded, a process of its own, a cluster)
//
// # Guarantees
//
// An implementation that passes [Exercise] can stand in for any other. Tests that need time to
// stand still are not here: bus/mem has them, in testing/synctest.
//
// # A first program
//
//	func TestMem(t *testing.T) {
//		server := mem.New()
//		bustest.Exercise(t, func(*testing.T) bus.Bus { return server.Connect() })
//	}
package bustest
