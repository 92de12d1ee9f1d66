package span_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

var kept = tracetest.NewSpanRecorder()

// The provider is the process's: what is off is tried before it is set.
func TestMain(m *testing.M) {
	off = func() (allocs float64, all string) {
		ctx := trace.Mark(context.Background(), "id", trace.Place{})
		r, wrong := httptest.NewRequest("GET", "/", nil), errors.New("x")
		allocs = testing.AllocsPerRun(100, func() {
			c, s := span.Begin(ctx, span.Client, "x")
			s.Text("k", "v")
			s.End(nil)
			_, s = span.Request(c, r)
			s.Routed(r, "/")
			s.Answered(500)
			span.Of(c).Note(wrong)
			span.At(c, trace.Place{})
		})
		place, _ := trace.Parse(parent, "")
		ctx, s := span.Begin(span.At(ctx, place), span.Server, "x")
		if s != nil || span.On() {
			all = "there is a span"
		}
		return allocs, all + trace.From(ctx).String() + trace.RequestID(ctx)
	}
	allocs, all = off()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(kept)))
	m.Run()
}

var (
	off    func() (float64, string)
	allocs float64
	all    string
)

func TestBegin_CostsNothingAndPassesPlacesOnWhileNobodyMakesSpans(t *testing.T) {
	if allocs != 0 || all != parent+"id" {
		t.Errorf("got %v allocations, and %s", allocs, all)
	}
}

// last is the span that ended last.
func last(t *testing.T) sdk.ReadOnlySpan {
	t.Helper()
	all := kept.Ended()
	if len(all) == 0 {
		t.Fatal("there is no span")
	}
	return all[len(all)-1]
}

func words(s sdk.ReadOnlySpan) map[string]string {
	out := map[string]string{}
	for _, kv := range s.Attributes() {
		out[string(kv.Key)] = kv.Value.String()
	}
	return out
}

func TestBegin_GoesOnWhereTheContextIs(t *testing.T) {
	place, _ := trace.Parse(parent, "a=1")
	ctx, s := span.Begin(trace.Mark(t.Context(), "id", place), span.Server, "outer")
	sent := map[string]string{}
	trace.Inject(ctx, func(name, value string) { sent[name] = value })
	_, in := span.Begin(ctx, span.Client, "inner")
	in.End(nil)
	inner := last(t)
	s.End(nil)
	outer := last(t)
	if outer.SpanContext().TraceID() != place.Trace || outer.Parent().SpanID() != place.Span || !outer.Parent().IsRemote() {
		t.Errorf("the outer span is under %v", outer.Parent())
	}
	if inner.Parent().SpanID() != outer.SpanContext().SpanID() {
		t.Errorf("the inner span is under %v", inner.Parent())
	}
	if want := trace.OfSpan(outer.SpanContext()).String(); sent["traceparent"] != want || sent["tracestate"] != "a=1" || sent["X-Request-Id"] != "id" {
		t.Errorf("got %v, want %s", sent, want)
	}
	// A place from elsewhere goes before what is open.
	other := trace.Place{Trace: [16]byte{1}, Span: [8]byte{1}, Flags: 1}
	_, s = span.Begin(span.At(ctx, other), span.Consumer, "elsewhere")
	s.End(nil)
	if got := last(t); got.Parent().SpanID() != other.Span {
		t.Errorf("the span is under %v", got.Parent())
	}
}

func TestBegin_HeedsWhetherATraceIsRecorded(t *testing.T) {
	before := len(kept.Ended())
	place, _ := trace.Parse(strings.TrimSuffix(parent, "1")+"0", "")
	ctx, s := span.Begin(trace.Mark(t.Context(), "", place), span.Server, "not sampled")
	if s.Recorded() || trace.From(ctx).Sampled() || trace.From(ctx).Trace != place.Trace {
		t.Errorf("got %v", trace.From(ctx))
	}
	s.End(nil)
	if len(kept.Ended()) != before {
		t.Error("it was recorded")
	}
}

func TestEnd_SaysWhatWentWrong(t *testing.T) {
	_, s := span.Begin(t.Context(), span.Client, "fails")
	s.End(fault.Text(fault.Busy, "ask", "crunch", strings.Repeat("x", 1<<20)+"\xff"))
	got := last(t)
	if got.Status().Code != codes.Error || words(got)["error.type"] != "busy" || len(got.Status().Description) > 4<<10 || len(got.Events()) != 1 {
		t.Errorf("got %v, %v, %d bytes", got.Status().Code, words(got), len(got.Status().Description))
	}
}

func TestRequest_HasTheAttributesOfTheConventions(t *testing.T) {
	for _, test := range []struct {
		method, name, want string
		status             int
		code               codes.Code
	}{
		{"POST", "POST /Multiply", "POST", 200, codes.Unset},
		{"GET", "GET /Multiply", "GET", 404, codes.Unset},
		{"GET", "GET /Multiply", "GET", 503, codes.Error},
		{"HACK", "HTTP /Multiply", "_OTHER", 405, codes.Unset},
	} {
		r := httptest.NewRequest(test.method, "http://example.com:8080/Multiply?secret=1", nil)
		r.RemoteAddr = "192.0.2.1:1234"
		_, s := span.Request(t.Context(), r)
		s.Routed(r, "/Multiply")
		s.Method("become", "crunch", "Multiply")
		s.Answered(test.status)
		got, w := last(t), words(last(t))
		if got.Name() != test.name || got.SpanKind() != span.Server || got.Status().Code != test.code || w["http.request.method"] != test.want {
			t.Errorf("%s: got %s, %v, %v", test.method, got.Name(), got.Status(), w)
		}
		for key, want := range map[string]string{
			"url.path": "/Multiply", "url.scheme": "http", "server.address": "example.com", "server.port": "8080", "client.address": "192.0.2.1",
			"http.route": "/Multiply", "network.protocol.version": "1.1", "rpc.service": "crunch", "rpc.method": "Multiply",
		} {
			if w[key] != want {
				t.Errorf("%s is %q, want %q", key, w[key], want)
			}
		}
	}
}

func TestWriter_RemembersTheStatusAndHidesNothing(t *testing.T) {
	for want, answer := range map[int]http.HandlerFunc{
		200: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) },
		201: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(201) },
		0:   func(http.ResponseWriter, *http.Request) {},
		101: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) },
	} {
		w := &span.Writer{ResponseWriter: httptest.NewRecorder()}
		answer(w, nil)
		if w.Status != want {
			t.Errorf("got %d, want %d", w.Status, want)
		}
	}
	got := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wrapped := &span.Writer{ResponseWriter: w}
		wrapped.Flush()
		_, err := wrapped.ReadFrom(strings.NewReader("body"))
		conn, _, wrong := wrapped.Hijack()
		if wrong == nil {
			conn.Close()
		}
		got <- errors.Join(err, wrong)
	}))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
