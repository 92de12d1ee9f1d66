// Package otlp takes OpenTelemetry's spans to a collector, as the standard environment says: OTLP over HTTP, written as JSON
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp, https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
//
//	spans → [Queue] → [Exporter] → POST http://127.0.0.1:4318/v1/traces
//
// These variables are read, those with TRACES in them before the others:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT              http://host:4318; /v1/traces is appended to it
//	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT       the whole address
//	OTEL_EXPORTER_OTLP[_TRACES]_HEADERS      name=value,name=value, with percent-encoding
//	OTEL_EXPORTER_OTLP[_TRACES]_TIMEOUT      of one POST, in milliseconds; default 10000
//	OTEL_EXPORTER_OTLP[_TRACES]_COMPRESSION  gzip or none, the default
//	OTEL_EXPORTER_OTLP[_TRACES]_CERTIFICATE  PEM file of who signs the collector's; _CLIENT_CERTIFICATE and _CLIENT_KEY are ours
//	OTEL_EXPORTER_OTLP[_TRACES]_PROTOCOL     http/json and http/protobuf are both posted as JSON, which collectors take at the same address
//	OTEL_TRACES_EXPORTER                     none: nothing is sent
//	OTEL_SDK_DISABLED                        true: no spans are made
//	OTEL_SERVICE_NAME                        default: the program's or the service's own name
//	OTEL_RESOURCE_ATTRIBUTES                 name=value,name=value
//	OTEL_BSP_SCHEDULE_DELAY                  how long a span waits for others, in milliseconds; default 5000
//	OTEL_BSP_MAX_QUEUE_SIZE                  how many wait; default 2048
//	OTEL_BSP_MAX_EXPORT_BATCH_SIZE           how many go in one POST; default 512
//	OTEL_BSP_EXPORT_TIMEOUT                  how long is tried to deliver a batch, in milliseconds; default 30000
//
// OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG and OTEL_SPAN_* are read by OpenTelemetry's SDK.
//
// # Guarantees
//
//   - Who makes a span never waits for the collector. Spans for which there is no room are dropped, and counted: the log has a line a minute
//     at most, with the last reason.
//   - Memory is bounded: by the queue, by the length of a text (8 KiB unless the environment says otherwise), and by 64 KiB of what a
//     collector answers. Redirections are not followed.
//   - A batch that the collector cannot take now (429, 502, 503, 504, no connection) is tried again, after as long as Retry-After says or else
//     with a growing pause. Other refusals drop it.
//   - The end tries once to send what waits, within the deadline that it is given and two seconds. What it interrupted is sent again.
//   - A batch is delivered at least once, or dropped: it arrives twice when its answer was lost, or the end came meanwhile. Spans that the
//     collector rejects of a batch that it takes are dropped too.
//   - Headers and the password of an address are not in the log.
//   - What is wrong in the environment is one warning in the log, and nothing is sent, or the default holds: no server fails for it.
//
// # A first program
//
//	stop := otlp.Start(otlp.Options{Name: "crunch", Logger: slog.Default()})
//	defer stop(context.Background())
package otlp
