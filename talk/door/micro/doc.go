// Package micro is an API's door to the bus: the API is a NATS micro service there, as ADR-32 of
// github.com/nats-io/nats-architecture-and-design describes them, so that `nats micro ls`, `nats micro stats` and `nats req` know it.
//
//	crunch.Multiply    a request, to one of all processes that serve the API
//	$SRV.PING          who is there; $SRV.INFO what they offer, $SRV.STATS what they did;
//	                   with .NAME or .NAME.ID those of a name or one process
//
// A request is JSON, with or without its envelope, or the words of a query, x=1.5&y=2.25; nothing means no fields. The
// answer is JSON in its envelope, {"value":["crunch.Output",{"value":3.375},[]]}; an error is problem details (RFC 9457), with the
// headers Nats-Service-Error and Nats-Service-Error-Code, which is HTTP's status. A request is known by its header X-Request-Id, or by one
// that is made here; errors and the log have it.
//
// # Guarantees
//
//   - A request that was received is answered, once, also when its handler panics or does not return in time.
//   - Answers go to inboxes only: a request that wants its own elsewhere is not received. See bus.IsInbox.
//   - Close answers what was received before it returns.
//   - Requests run beside one another, as many as the API allows; one more is answered with busy. What comes faster than it can be looked at
//     waits, 16,384 of a kind or 64 MiB on NATS; more is dropped and told in the log, and its client hears nothing until its deadline.
//
// # A first program
//
//	s, err := micro.Serve(ctx, b, crunch, nil)
//	if err != nil {
//		return err
//	}
//	defer s.Close()
package micro
