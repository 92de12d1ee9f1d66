// Package otlptest is a collector of traces for tests: it takes what an exporter posts as OTLP's official schema has it
// (go.opentelemetry.io/proto/otlp), and refuses everything else.
//
//	exporter → POST → [otlptest] → the test
//
// # Guarantees
//
//   - A field that the schema has not, an id that is not in hexadecimal, or of another length, is an error, which [Collector.Errors] has and
//     the exporter is told with 400.
//
// # A first program
//
//	collector := &otlptest.Collector{}
//	server := httptest.NewServer(collector)
//	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
package otlptest
