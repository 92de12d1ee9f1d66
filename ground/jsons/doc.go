// Package jsons reads one text of JSON, token by token, with readers that are used again: half of the time that a small text takes goes to
// making one.
//
//	bytes → [jsons] → message, frame, micro
//
// # Guarantees
//
//   - What [Reader.Value] returns is in the memory of the text: nothing is copied, and it stays valid when the reader is given back.
//   - A reader that was given back keeps nothing of what it has read.
//   - A name that is there twice in an object is an error, and so is text that is not UTF-8 (the defaults of jsontext).
//
// # A first program
//
//	r := jsons.Read(data)
//	defer r.Free()
//	if _, err := r.ReadToken(); err != nil { // [
//		...
//	}
//	first, err := r.Value() // is some of data
package jsons
