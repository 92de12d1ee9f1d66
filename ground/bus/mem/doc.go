// Package mem is the bus inside one process: every contract of package bus,
// true but for durability. It serves tests, also in testing/synctest, and programs
// that run without a fleet.
//
//	boss → [mem] ← worker
//
// # Guarantees
//
// Those of package bus, as long as the process lives. All goroutines end with the connection's
// Close.
//
// # A first program
//
//	server := mem.New()
//	a, b := server.Connect(), server.Connect()
//	b.Subscribe(ctx, "hello.*", "", func(m bus.Message) { fmt.Println(m.Subject) })
//	a.Publish("hello.world", nil)
package mem
