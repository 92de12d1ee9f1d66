package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/otlp/otlptest"
)

func some(n int) []sdk.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, n)
	for i := range stubs {
		stubs[i] = tracetest.SpanStub{Name: fmt.Sprint(i), SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1, byte(i), byte(i >> 8)}, TraceFlags: trace.FlagsSampled,
		})}
	}
	return stubs.Snapshots()
}

// wired is an exporter whose collector is in the same bubble of time: a handler, or an error in its place.
func wired(t *testing.T, log io.Writer, h func(w http.ResponseWriter, r *http.Request) error) *Exporter {
	t.Helper()
	e, err := NewExporter(Config{Endpoint: "http://collector:4318/v1/traces"}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if err := h(w, r); err != nil {
			return nil, err
		}
		return w.Result(), nil
	})
	return e
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestExporter_TriesAgainWhatMaySucceedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var at []time.Duration
		begun := time.Now()
		answers := []func(w http.ResponseWriter) error{
			func(http.ResponseWriter) error { return errors.New("connection refused") },
			func(w http.ResponseWriter) error { w.Header().Set("Retry-After", "7"); w.WriteHeader(429); return nil },
			func(w http.ResponseWriter) error { w.WriteHeader(502); return nil },
			func(w http.ResponseWriter) error {
				w.Header().Set("Retry-After", time.Now().Add(9*time.Second).UTC().Format(http.TimeFormat))
				w.WriteHeader(503)
				return nil
			},
			func(w http.ResponseWriter) error { w.WriteHeader(504); return nil },
			func(w http.ResponseWriter) error { io.WriteString(w, "{}"); return nil },
		}
		e := wired(t, &log, func(w http.ResponseWriter, r *http.Request) error {
			at = append(at, time.Since(begun))
			return answers[len(at)-1](w)
		})
		if err := e.ExportSpans(t.Context(), some(1)); err != nil || len(at) != len(answers) {
			t.Fatalf("got %v after %d posts", err, len(at))
		}
		if wait := at[2] - at[1]; wait != 7*time.Second {
			t.Errorf("after Retry-After: 7 it waited %v", wait)
		}
		if wait := at[4] - at[3]; wait <= 8*time.Second || wait > 9*time.Second {
			t.Errorf("until a date 9 s ahead it waited %v", wait)
		}
		if wait := at[1] - at[0]; wait < firstPause/2 || wait > firstPause {
			t.Errorf("it paused %v first", wait)
		}
		if text := log.String(); strings.Count(text, "does not take them now") != 1 || strings.Count(text, "takes them again") != 1 {
			t.Errorf("the log has:\n%s", text)
		}
	})
}

func TestExporter_DropsWhatIsRefused(t *testing.T) {
	for status, body := range map[int]string{
		400: `{"message":"bad\nspan"}`, 401: "", 413: strings.Repeat("x", 1<<20), 301: "", 307: "", 500: "", 404: "\xff\x00",
	} {
		posts := 0
		e := wired(t, io.Discard, func(w http.ResponseWriter, r *http.Request) error {
			posts++
			w.Header().Set("Location", "http://elsewhere/")
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
			io.WriteString(w, body)
			return nil
		})
		err := e.ExportSpans(t.Context(), some(1))
		if fault.KindOf(err) != fault.Remote || posts != 1 || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%d: got %.600v after %d posts", status, err, posts)
		}
	}
}

func TestExporter_GivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := wired(t, io.Discard, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(503)
			return nil
		})
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := e.ExportSpans(ctx, some(1)); err == nil || time.Since(begun) > 30*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		e = wired(t, io.Discard, func(w http.ResponseWriter, r *http.Request) error { // one that never answers
			<-r.Context().Done()
			return r.Context().Err()
		})
		begun = time.Now()
		if err := e.ExportSpans(context.WithValue(t.Context(), onceKey{}, true), some(1)); fault.KindOf(err) != fault.Lost || time.Since(begun) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

func TestExporter_TellsOfAPartialSuccess(t *testing.T) {
	for body, want := range map[string]string{
		`{"partialSuccess":{"rejectedSpans":"5","errorMessage":"too\u0000 old"}}`: "the collector has not taken 5 spans: too old",
		`{"partialSuccess":{"rejectedSpans":5}}`:                                  "the collector has not taken 5 spans",
		`{"partialSuccess":{"rejectedSpans":-5}}`:                                 "", `{"partialSuccess":{"rejectedSpans":"many"}}`: "",
		`{"partialSuccess":{}}`: "", `{}`: "", "": "", "no JSON": "", `{"partialSuccess":[]}`: "",
	} {
		e := wired(t, io.Discard, func(w http.ResponseWriter, r *http.Request) error { io.WriteString(w, body); return nil })
		err := e.ExportSpans(t.Context(), some(7))
		r, ok := errors.AsType[*Rejected](err)
		if want == "" && err != nil || want != "" && (!ok || r.Spans != 5 || r.Error() != want) {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}

func TestExporter_TellsOnceAMinuteWhatACollectorSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := wired(t, &log, func(w http.ResponseWriter, r *http.Request) error {
			io.WriteString(w, `{"partialSuccess":{"errorMessage":"be\ngentle"}}`)
			return nil
		})
		for range 61 {
			if err := e.ExportSpans(t.Context(), some(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, `message="be gentle"`) != 2 {
			t.Errorf("the log has:\n%s", got)
		}
	})
}

func TestExporter_PostsWhatACollectorTakes(t *testing.T) {
	for _, packed := range []bool{false, true} {
		collector := &otlptest.Collector{}
		server := httptest.NewServer(collector)
		e, err := NewExporter(Config{Endpoint: server.URL + otlptest.Path, Gzip: packed, Header: http.Header{"Authorization": {"Bearer k"}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.ExportSpans(t.Context(), some(3)); err != nil {
			t.Error(err)
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		spans := collector.Spans()
		if len(spans) != 3 || spans[0].Header.Get("Authorization") != "Bearer k" || (spans[0].Header.Get("Content-Encoding") == "gzip") != packed {
			t.Errorf("got %v, %v", spans, collector.Errors())
		}
		server.Close()
	}
}

func TestExporter_SpeaksTLS(t *testing.T) {
	collector := &otlptest.Collector{}
	server := httptest.NewTLSServer(collector)
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	e, err := NewExporter(Config{Endpoint: server.URL + otlptest.Path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), onceKey{}, true)
	if err := e.ExportSpans(ctx, some(1)); err == nil || len(collector.Spans()) > 0 {
		t.Errorf("a certificate that nobody knows was trusted: %v", err)
	}
	e.Shutdown(ctx)
	if e, err = NewExporter(Config{Endpoint: server.URL + otlptest.Path, Certificate: certificateOf(t, server)}, nil); err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(ctx)
	if err := e.ExportSpans(ctx, some(1)); err != nil || len(collector.Spans()) != 1 {
		t.Errorf("got %v", err)
	}
	for _, bad := range []Config{{Certificate: "none.pem"}, {Certificate: "exporter_test.go"}, {ClientCertificate: "none.pem"}, {ClientKey: "none.pem"}} {
		if _, err := NewExporter(bad, nil); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}

func TestExporter_TellsNobodyThePassword(t *testing.T) {
	var log bytes.Buffer
	e, err := NewExporter(Config{Endpoint: "http://user:secret@127.0.0.1:1/v1/traces"}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	err = e.ExportSpans(context.WithValue(t.Context(), onceKey{}, true), some(1))
	if err == nil || strings.Contains(err.Error()+log.String(), "secret") || !strings.Contains(log.String(), "user:xxxxx@127.0.0.1:1") {
		t.Errorf("got %v, and in the log %s", err, &log)
	}
	_, warnings, _ := FromEnv(func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:secret@h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}[name]
	})
	if len(warnings) != 1 || strings.Contains(warnings[0], "secret") {
		t.Errorf("got %q", warnings)
	}
}
