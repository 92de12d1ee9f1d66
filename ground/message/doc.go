// Package message is what typed messages are made of, and how they are written at doors: as JSON
// (RFC 8259), CBOR (RFC 8949), XML 1.0, text for people, and the words of a query or a form.
//
//	Go type → [Of] → Type → decode, check, encode, describe
//
// A message is a struct. Its fields are named by their json tag, or else by their Go name in
// lower case with underscores: X is "x", UserName is "user_name". What a field may be:
//
//	Go                               JSON
//	bool                             true, false
//	int…, uint…, float…              number, within the type's range; no NaN, no infinity
//	big.Int                          number of any length
//	string                           text; an enumeration with an enum tag
//	[]byte                           text, base64 (RFC 4648)
//	time.Time                        text, RFC 3339
//	time.Duration                    text, "1h30m"
//	encoding.TextMarshaler           text: UUIDs, addresses, enumerations
//	struct                           object; embedded structs are part of it
//	slice, array                     array
//	map[T]struct{}                   array without equal elements: a set
//	map[string]T                     object
//	map[K]T                          array of [key, value]
//	*T                               T; nil is left out, null is nil
//	any                              anything
//
// CBOR is the same structure, with bytes, times and whole numbers of any length as its own types. For XML see AppendXML, for text AppendPlain.
//
// Beside these, fields are as their tags say, with JSON Schema's words: doc, example, default, required:"true", enum:"a,b", minimum,
// maximum, minLength, maxLength (of texts, in characters; of arrays, in elements), pattern.
//
// # Guarantees
//
//   - A message that is decoded without an error is as its type says, bounds and all.
//   - Errors name each field that is wrong by its path, as in items[3].price, twenty at most.
//   - Unknown fields are errors: what a client misspells is not lost in silence.
//   - Decoding is bounded: 100 levels deep, and memory grows with what is there. Equal names twice, text that is not UTF-8
//     and whatever follows the value are errors; in XML a document type too, and with it entities.
//   - All formats are read by the same rules: what one refuses the others refuse.
//   - What is encoded is valid, or an error. Equal messages are equal bytes; CBOR is its core deterministic encoding.
//
// # Versions
//
// Of two programs that talk one is older. What goes on as before, and what does not:
//
//   - A field that is new in a request: who does not send it means its default, or nothing. Make it required only under a new name.
//   - A field that is gone from a request: who sends it is told that there is no such field. Keep it, unread, until nobody does.
//   - A field that is new in an answer: clients of package talk/client pass over what they do not know; so should others.
//   - A field that changes its type is another field: give it another name.
//   - A type of answer that is new in an interface: the answer names its type, and a client that does not know it can say so.
//
// # A first program
//
//	type Multiply struct{ X, Y float64 }
//
//	t, err := message.Of(reflect.TypeFor[Multiply]())
//	if err != nil {
//		return err
//	}
//	var m Multiply
//	err = t.Decode([]byte(`{"x":1.5,"y":2.25}`), reflect.ValueOf(&m).Elem())
package message
