// Package talk measures APIs: what sits between a request and its typed handler, beside the least that answers in
// the same way.
//
//	bench → [talk] → examples/crunch, peer ← load
package talk
