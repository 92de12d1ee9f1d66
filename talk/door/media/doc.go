// Package media is how doors for HTTP agree with a client on a representation (RFC 9110): the formats of messages, which one
// a client wants and which one it sent, and bodies packed with gzip.
//
//	Content-Type, Content-Encoding → [media] → message → [media] → Accept, Accept-Encoding
//
//	application/json   RFC 8259
//	application/xml    XML 1.0, see message.Type's AppendXML; text/xml is read too
//	application/cbor   RFC 8949, the core deterministic encoding
//	text/plain         see message.Type's AppendPlain
//	application/x-www-form-urlencoded, read only
//
// # Guarantees
//
//   - Of what is offered a client gets what it gave the highest quality, and of several the first; what it gave none is not sent.
//   - Refusals list what there is: 406 in the detail, 415 in the header Accept too.
//   - Bodies are read up to a bound, as they come and as they are unpacked.
//
// # A first program
//
//	offers := []*media.Format{media.JSON, media.XML}
//	format, err := media.Choose(r.Header["Accept"], offers)
//	if err != nil {
//		return err // 406
//	}
//	body, err := format.Append(t, nil, v)
//	...
//	media.Write(w, r, http.StatusOK, format.Type, body)
package media
