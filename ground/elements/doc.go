// Package elements reads the elements of an XML document for those who take documents from strangers.
//
//	bytes → encoding/xml → [elements] → message, XML-RPC
//
// # Guarantees
//
//   - Document types are refused, and with them entities of one's own: no text grows by being read.
//   - A text is read where one is asked for; elsewhere there is white space between elements, or an error.
//   - Whatever is refused is a Refused; other errors are those of encoding/xml.
//
// # A first program
//
//	d := elements.NewDecoder(r)
//	tok, err := elements.Next(d) // <name>
//	...
//	name, err := elements.Text(d) // and </name> is read
package elements
