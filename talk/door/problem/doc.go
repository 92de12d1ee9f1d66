// Package problem is how the doors that speak HTTP tell errors: as problem details, RFC 9457.
//
//	error → [Of] → Problem → Write → application/problem+json
//
// A problem has a title, a status, a detail, the error's kind and hint, and for a message that is wrong errors, each with
// the field's path.
//
// # Guarantees
//
//   - Every error has a status: its kind decides, as Of says.
//   - A stack never leaves with it.
//   - What is written is valid JSON, and no cache keeps it.
//
// # A first program
//
//	if err != nil {
//		problem.Write(w, err)
//		return
//	}
package problem
