package otlp

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	spans "github.com/universal-server/become/ground/trace/span"
)

// Options of Start. Zero means the defaults.
type Options struct {
	// Name is the service's, if the environment says no other (service.name).
	Name string
	// Attributes say more of this process.
	Attributes map[string]string
	// Logger is told what is wrong. Default: nobody is.
	Logger *slog.Logger
	// Getenv reads the environment. Default: os.Getenv.
	Getenv func(string) string
}

// maxText is how long the text of an attribute may be if the environment does not say. Unit: bytes.
const maxText = 8 << 10

// Start makes this process's spans go where the environment says: it sets OpenTelemetry's provider. If the environment says nowhere, or the
// program has set a provider of its own, it does nothing. What is wrong in the environment is a warning in the log. stop sends
// what waits, for as long as its context lasts, two seconds at most, and returns when nothing is sent any more; it may be called twice.
func Start(o Options) (stop func(context.Context)) {
	nothing := func(context.Context) {}
	if spans.On() {
		return nothing
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, warnings, err := FromEnv(o.Getenv)
	for _, text := range warnings {
		o.Logger.Warn(text)
	}
	var e *Exporter
	if err == nil && c.Endpoint != "" {
		e, err = NewExporter(c, o.Logger)
	}
	if err != nil {
		o.Logger.Warn("no traces are sent", "err", err)
	}
	if e == nil {
		return nothing
	}
	p := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(NewQueue(e, c.Queue, o.Logger)), sdk.WithResource(o.resource()), sdk.WithRawSpanLimits(limits(o.Getenv)),
	)
	otel.SetTracerProvider(p)
	return func(ctx context.Context) { p.Shutdown(ctx) }
}

// resource is what the spans are of.
func (o *Options) resource() *resource.Resource {
	host, _ := os.Hostname()
	all := []attribute.KeyValue{
		attribute.String("service.name", o.Name), attribute.String("service.instance.id", rand.Text()),
		attribute.String("host.name", host), attribute.Int("process.pid", os.Getpid()),
	}
	for key, value := range o.Attributes {
		all = append(all, attribute.String(key, value))
	}
	r, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(all...), resource.WithFromEnv())
	if err != nil {
		o.Logger.Warn("what the traces are of is not known in full", "err", err)
	}
	return r
}

func limits(getenv func(string) string) sdk.SpanLimits {
	l := sdk.NewSpanLimits()
	if getenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" && getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		l.AttributeValueLengthLimit = maxText
	}
	return l
}
