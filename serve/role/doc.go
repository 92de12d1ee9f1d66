// Package role is what a fleet's clients and nodes say about services: the records of what shall be
// served, and the nodes' answers to what is.
//
//	client → [record] → every node → master → keeper → process
//	client ← [status] ←
//
// A role is a name, an edition of code with its Spec, and a state. Clients change the
// record, nodes watch it and make it so; nobody leads. Each change is a compare-and-swap on the
// record, so that two of them never undo one another unseen.
//
// # Guarantees
//
//   - What stood before is kept, the newest ten editions, and can come back.
//   - An edition that a node cannot start, or that does not stand its probation there, is taken back
//     for all nodes, with the reason, unless it has been proven: had it stood its probation on any node.
//   - A change that is overtaken by another is tried again on what is there then.
//
// # A first program
//
//	roles, err := role.Open(ctx, bus)
//	if err != nil {
//		return err
//	}
//	r, _, err := roles.Deploy(ctx, "crunch", role.Edition{Digest: digest, Spec: spec}, nil)
package role
