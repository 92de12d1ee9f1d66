// Package edge is what all doors that speak HTTP do first: it marks each request with its id and its place in a trace, and opens a span for it.
//
//	HTTP request → [edge] → door
//
// The id is that of X-Request-Id if it is well formed, else a new one; the answer carries it, and so do problems and logs. The
// place is that of traceparent and tracestate. See package ground/trace.
//
// # Guarantees
//
//   - A request is marked once, whatever doors it goes through.
//   - While nobody makes spans (package span) there are none, and no answer is looked at.
//
// # A first program
//
//	http.ListenAndServe("127.0.0.1:5051", edge.Handler(web.New(crunch, nil)))
package edge
