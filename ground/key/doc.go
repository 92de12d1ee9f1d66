// Package key is a fleet's one secret: an ed25519 key. Whoever holds it is an
// operator of the fleet; everybody else gets from it exactly what he needs.
//
//	[key] → tickets for the bus · signatures on bundles · TLS identities
//
// # Guarantees
//
//   - A signature made for one purpose is worth nothing for another.
//   - A ticket says who may do what until when; it is checked with the public half alone.
//   - A TLS client of the fleet talks only to servers whose certificate the fleet's
//     key has signed.
//   - The secret never appears in logs; a file that others can read is refused.
//
// # A first program
//
//	k := key.New()
//	ticket := k.Ticket(key.Claims{Role: key.RoleWorker, ID: "w1", Expires: time.Now().Add(time.Hour)})
//	claims, err := k.Public().CheckTicket(ticket, time.Now())
package key
