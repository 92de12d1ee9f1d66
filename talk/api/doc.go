// Package api is what an API is, behind every door: named requests with typed messages and the
// handlers that answer them.
//
//	door → request → [API] → handler → reply → door
//
// A request is named by the Go type of its message, a reply by that of what is answered, with the API's
// name before it: crunch.Output. One definition serves all doors.
// Handlers are functions (Handle), or the methods of an object that starts before the first request and
// stops after the last (Methods), or of one object for each session (PerSession). A session is a client that stays;
// SessionOf is a handler's.
//
// # Guarantees
//
//   - A handler that fails, panics or ends its goroutine fails its request alone; a panic is logged with its stack, and the
//     client is told no more than that there was one.
//   - Each request has a deadline, which its context knows. What a handler answers later is dropped.
//   - At most Options.MaxRequests handlers run at once; another request is refused at once with fault.Busy. A
//     handler that never returns keeps its place.
//   - What is logged and counted of a request is what its client is told, and known by the same id.
//   - A session that was accepted is either closed or abandoned, once, and told so to each class.
//
// # A first program
//
//	type Multiply struct{ X, Y float64 }
//	type Output struct{ Value float64 }
//
//	h, err := api.Handle(func(ctx context.Context, m Multiply) (Output, error) {
//		return Output{m.X * m.Y}, nil
//	}, nil)
//	if err != nil {
//		return err
//	}
//	a, err := api.New("crunch", []*api.Handler{h}, nil)
package api
