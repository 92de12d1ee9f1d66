//go:build unix

package main

import (
	"context"
	"encoding/hex"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/universal-server/become/ground/trace/otlp/otlptest"
)

// collect starts a collector, and says so in the environment.
func collect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: collect")
	}
	c := &otlptest.Collector{}
	server := httptest.NewServer(c)
	ts.Defer(server.Close)
	ts.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	ts.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	ts.Value(jobsKey{}).(*jobs).collector = c
}

// awaitTrace compares a trace with a file. Spans come when their processes send them.
func awaitTrace(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value(jobsKey{}).(*jobs).collector
	if neg || len(args) != 2 || c == nil {
		ts.Fatalf("usage, after collect: trace ID|NAME FILE")
	}
	want := ts.ReadFile(args[1])
	late, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got := ""
	_, err := c.Wait(late, func(all []otlptest.Span) bool {
		got = otlptest.Tree(ofTrace(all, args[0]))
		return got == want
	})
	if err != nil {
		ts.Fatalf("%v: the trace %s is\n%swant\n%sof all:\n%s", err, args[0], got, want, otlptest.Tree(c.Spans()))
	}
}

// ofTrace are the spans of the last trace that has that id, or begins with a span of that name.
func ofTrace(all []otlptest.Span, what string) (spans []otlptest.Span) {
	id := what
	for _, s := range all {
		if s.Name == what && !slices.ContainsFunc(all, func(parent otlptest.Span) bool { return s.Under(parent) }) {
			id = hex.EncodeToString(s.TraceId)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s otlptest.Span) bool { return hex.EncodeToString(s.TraceId) != id })
}
