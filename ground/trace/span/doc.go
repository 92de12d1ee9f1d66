// Package span makes OpenTelemetry's spans of what become does: requests at its doors, requests and calls of its clients, jobs, and functions
// that run.
//
//	door, client, worker → [span] → the process's provider → package otlp, or the program's own
//
// The provider is OpenTelemetry's own, otel.GetTracerProvider: that of the program if it has set one, else the one that package otlp makes
// when the environment names a collector. Names and attributes follow the semantic conventions
// (https://opentelemetry.io/docs/specs/semconv/).
//
// # Guarantees
//
//   - While nobody has set a provider there are no spans, and asking for one costs a few nanoseconds and no memory.
//   - A span's parent is the span that is open in the context, else the place that the context came with (package trace): traces go on
//     over processes, and the decision of their first span to be recorded holds.
//   - What [Begin] returned can always be ended, also if it is nil.
//
// # A first program
//
//	ctx, s := span.Begin(ctx, span.Client, "ask crunch")
//	answer, err := ask(ctx)
//	s.End(err)
package span
