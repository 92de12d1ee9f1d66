package otlp_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/universal-server/become/ground/trace/otlp"
	"github.com/universal-server/become/ground/trace/otlp/otlptest"
	"github.com/universal-server/become/ground/trace/span"
)

// The provider is the process's, so what it goes through is one test, in a process of its own.
func TestStart_SetsAProviderIfTheEnvironmentSaysSoAndNobodyElseHas(t *testing.T) {
	const child = "BECOME_TEST_START"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var log bytes.Buffer
	o := otlp.Options{Name: "crunch", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	o.Getenv = environment()
	otlp.Start(o)(t.Context())
	if span.On() || log.Len() > 0 {
		t.Fatalf("without an endpoint there is a provider: %s", &log)
	}
	o.Getenv = environment(general, "localhost:4318")
	otlp.Start(o)(t.Context())
	if span.On() || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "no traces are sent") {
		t.Fatalf("with a bad endpoint: %s", &log)
	}
	log.Reset()

	collector := &otlptest.Collector{}
	server := httptest.NewServer(collector)
	defer server.Close()
	o.Getenv = environment(general, server.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	stop := otlp.Start(o)
	if !span.On() {
		t.Fatal("there is no provider")
	}
	mine := otel.GetTracerProvider()
	ctx, s := span.Begin(t.Context(), span.Client, "ask")
	s.Text("long", strings.Repeat("x", 1<<20))
	otel.Tracer("program").Start(ctx, "of the program")
	_, inner := otel.Tracer("program").Start(ctx, "inner")
	inner.End()
	s.End(nil)

	second := otlp.Start(o)
	if otel.GetTracerProvider() != mine {
		t.Error("a second start has replaced the provider")
	}
	second(t.Context())
	stop(t.Context())
	spans := collector.Spans()
	if len(spans) != 2 || len(collector.Errors()) > 0 {
		t.Fatalf("got %v, %v", spans, collector.Errors())
	}
	ask := spans[1]
	if !ask.Is("CLIENT", "ask") || ask.Service != "crunch" || ask.Resource["deployment.environment.name"] != "test" || !spans[0].Under(ask) {
		t.Errorf("got %v", spans)
	}
	if n := len(ask.Words["long"]); n > 8<<10 {
		t.Errorf("a text of %d bytes was sent", n)
	}
	stop(context.Background())

	own := noop.NewTracerProvider()
	otel.SetTracerProvider(own)
	otlp.Start(o)(t.Context())
	if otel.GetTracerProvider() != own {
		t.Error("the program's provider was replaced")
	}
	if log.Len() > 0 {
		t.Errorf("the log has: %s", &log)
	}
}
