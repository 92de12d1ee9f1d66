// Package trace is how a request is known in all processes that work for it: by its own id, and by its place in a trace.
//
//	door → [Mark] → context → handler → [From, RequestID] → the next process
//
// A place in a trace is written as W3C Trace Context, level 1, has it (https://www.w3.org/TR/trace-context/): the header fields
// traceparent and tracestate. A request's id is the header field X-Request-Id, any text of visible ASCII.
//
// # Guarantees
//
//   - What comes from outside is passed on only if it is well formed and short; else it is as if nothing had come.
//   - A place is passed on as it came, with the span of whoever recorded one in between.
//   - Ids made here are different in all processes.
//
// # A first program
//
//	place, ok := trace.Parse(r.Header.Get("Traceparent"), r.Header.Get("Tracestate"))
//	ctx = trace.Mark(ctx, trace.NewRequestID(), place)
package trace
