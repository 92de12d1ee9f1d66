// Package xmlrpc is an API's door for XML-RPC (http://xmlrpc.com/spec.md), as Python's xmlrpc.client and xmlrpc.server
// speak it; and a client.
//
//	POST /RPC2 → [xmlrpc] → message → API → reply → methodResponse
//
// A method is a request of the API. Its parameters are the message's fields in their order, or one struct that names
// them. What a handler answers is the value itself: a struct for a message, a number for a number.
//
//	Go                          XML-RPC
//	int…, uint…                 int within 32 bits, else i8; beyond 64 bits a fault
//	float…                      double
//	bool                        boolean
//	string and what is a text   string
//	[]byte                      base64
//	time.Time                   dateTime.iso8601, in UTC and without a zone
//	slice, set, map[K]T         array
//	struct, map[string]T        struct
//	nil                         nil, an extension that Python reads
//
// Read are also i1, i2, i4, biginteger, float, and text without a type.
//
// # Introspection
//
// system.listMethods, system.methodSignature, system.methodHelp and system.multicall are there.
//
// # Errors
//
// An error is a fault with code 1, as Python's server has it, and "<kind>:text" as its string; a call that is not XML-RPC is one with the
// code of http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php, -32700. What is wrong by HTTP already is a problem (RFC 9457): 400,
// 403 for a page of another origin, 405, 413, 415.
//
// # Guarantees
//
//   - Document types and with them entities of one's own are refused: no text grows by being read.
//   - A call has at most Options.MaxBody bytes, unpacked ones too, 100 levels and 1,000 calls in a multicall.
package xmlrpc
