// Package frame is what goes over a session of an API: requests one way, answers and pushed messages the other, each in a
// message of WebSocket (RFC 6455).
//
//	client → request → [frame] → door        door → answer, push → [frame] → client
//
// A session speaks one of two formats, by the subprotocol that the client asks for: become.json, which is also
// that of a client that asks for none, in text messages, and become.cbor with the same structure in binary ones.
//
//	request  {"id":1,"request":"Multiply","value":{"x":1.5,"y":2.25}}
//	answer   {"id":1,"value":["crunch.Output",{"value":3.375},[]]}
//	error    {"id":1,"error":{"title":"Not Found","status":404,"detail":"…","kind":"not found"}}
//	push     {"value":["chat.Said",{"from":"Joe","text":"hello"},[]]}
//
// A request may also have its place in a trace, traceparent and tracestate, as W3C Trace Context writes them, if the server has said in its
// handshake that it knows them: see FieldsHeader. A place that is not well formed is passed over.
//
// An id is a whole number from 1 on, at most 2^53 for clients in a browser, which the client chooses; that of a request under way is
// not used for another. A request without one is not answered. A request without a value has the message's defaults.
//
// # Guarantees
//
//   - Memory grows with what is there: a frame is read by parts of itself.
//   - What is no JSON or CBOR is [ErrBroken]; what is, but is no frame, is message.Problems, with the id if there was one.
//   - What is written can be read by the other side.
//
// # A first program
//
//	r, err := frame.JSON.ReadRequest(data)
//	if err != nil {
//		return err
//	}
//	err = r.Value.Decode(handler.In, in)
package frame
