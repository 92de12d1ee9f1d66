// Package web is an API's door for HTTP: requests by GET and POST, answers as JSON, errors as problem details.
//
//	HTTP request → [web] → message → API → reply → JSON
//
// The last part of the path names the request. Its message comes from the query of a GET, or from the body of a POST: a form
// (application/x-www-form-urlencoded), XML, CBOR, lines of text, or JSON, plain {"x":1.5} or in an envelope {"value":{"x":1.5}}; see
// package talk/door/media. A body of JSON is taken as an envelope when its first name is "value" and the message has no field of that name.
// A field that is not sent has its default, which is the zero value unless a tag says another, or says that it is required.
//
// An answer names its type, {"value":["crunch.Output",{"value":3.375},[]]}; the third element is always
// empty and there for clients of older servers. With the media type's parameter profile=plain in Accept it is the
// message alone. CBOR is the same, and has the same parameter. In XML the element is the type's name, <Output>; as text/plain an
// answer of one field is its value, and of several a line for each. Who sends no Accept, and a browser, gets JSON.
//
// GET / is a page of the API for people, on which it can be tried; /openapi.json describes it for programs, as OpenAPI 3.1.
//
// # Errors
//
// As RFC 9457 has them, application/problem+json: title, status, detail, kind, and for a message that is wrong errors, each with
// the field's path.
//
//	400  the message cannot be read     404  no such request, with those there are
//	405  neither GET nor POST           406  the answer is wanted in no format of these
//	413  the body is too large
//	415  in no format of these          422  the message breaks a rule, or an answer cannot be written
//	403  a page of another origin calls, see package origin
//	403, 404, 409                       the handler's denied, not found, conflict
//	500  the handler failed             503  too many requests are under way; Retry-After
//	504  no answer within the deadline
//
// # Guarantees
//
//   - A handler that does not return costs its client a 504 at the deadline and its place, nobody else anything.
//   - Nothing that is sent is passed over: unknown fields, and a query beside a body, are errors.
//   - Bodies are read up to MaxBody bytes, unpacked ones too.
//   - What is answered is valid in its format, or an error. A format that there is not is refused before the handler runs.
//
// # A first program
//
//	http.ListenAndServe("127.0.0.1:5051", web.New(crunch, nil))
package web
