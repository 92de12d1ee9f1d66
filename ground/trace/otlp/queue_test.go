package otlp

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

func certificateOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// taker is an exporter that keeps what it gets.
type taker struct {
	take func(ctx context.Context) error

	mu   sync.Mutex
	took []int // how many spans each batch had
}

func (e *taker) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if e.take != nil {
		if err := e.take(ctx); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.took = append(e.took, len(spans))
	return nil
}

func (e *taker) Shutdown(context.Context) error { return nil }

func (e *taker) batches() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.took)
}

func (e *taker) total() (n int) {
	for _, b := range e.batches() {
		n += b
	}
	return n
}

func TestQueue_SendsFullBatchesAtOnceAndOthersAfterTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &taker{}
		q := NewQueue(e, QueueOptions{Batch: 4}, nil)
		defer q.Shutdown(t.Context())
		for _, s := range some(6) {
			q.OnEnd(s)
		}
		synctest.Wait()
		if got := e.batches(); !slices.Equal(got, []int{4}) {
			t.Errorf("at once: %v", got)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if got := e.batches(); !slices.Equal(got, []int{4, 2}) {
			t.Errorf("after the delay: %v", got)
		}
		for _, s := range some(5) {
			q.OnEnd(s)
		}
		if err := q.ForceFlush(t.Context()); err != nil || e.total() != 11 {
			t.Errorf("after a flush: %v, %v", e.batches(), err)
		}
	})
}

func TestQueue_DropsAndCountsWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := &taker{take: func(ctx context.Context) error { <-ctx.Done(); return errors.New("it is away") }}
		q := NewQueue(e, QueueOptions{Size: 8, Batch: 2, Delay: time.Millisecond}, slog.New(slog.NewTextHandler(&log, nil)))
		for range 3 {
			for _, s := range some(100) {
				q.OnEnd(s)
			}
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if n := q.Dropped(); n < 280 || n > 292 {
			t.Errorf("%d were dropped", n)
		}
		begun := time.Now()
		q.Shutdown(t.Context())
		if took := time.Since(begun); took != endWithin {
			t.Errorf("the end took %v", took)
		}
		if n := q.Dropped(); n != 300 {
			t.Errorf("%d were dropped in the end", n)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 3 || !strings.Contains(log.String(), "it is away") {
			t.Errorf("the log has:\n%s", &log)
		}
		q.OnEnd(some(1)[0]) // after the end: it is lost, and nobody waits
	})
}

func TestQueue_TheEndSendsWhatWaitsOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		e := &taker{take: func(ctx context.Context) error {
			if tries++; tries == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		q := NewQueue(e, QueueOptions{Batch: 2}, nil)
		for _, s := range some(5) {
			q.OnEnd(s)
		}
		synctest.Wait() // the first batch hangs
		begun := time.Now()
		if err := q.Shutdown(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		if e.total() != 5 || q.Dropped() != 0 {
			t.Errorf("got %v, %d dropped", e.batches(), q.Dropped())
		}
		if err := q.Shutdown(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
		if err := q.ForceFlush(t.Context()); err != nil {
			t.Errorf("a flush after the end: %v", err)
		}
	})
}

func TestQueue_TheEndDoesNotWaitForWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		posts := 0
		e := wired(t, io.Discard, func(http.ResponseWriter, *http.Request) error { posts++; return errors.New("connection refused") })
		q := NewQueue(e, QueueOptions{Batch: 2}, nil)
		for _, s := range some(9) {
			q.OnEnd(s)
		}
		synctest.Wait()
		before, begun := posts, time.Now()
		q.Shutdown(t.Context())
		if took := time.Since(begun); took != 0 || posts != before+1 || q.Dropped() != 9 {
			t.Errorf("the end took %v and %d posts; %d dropped", took, posts-before, q.Dropped())
		}
	})
}

func TestQueue_CountsWhatTheCollectorRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := wired(t, &log, func(w http.ResponseWriter, r *http.Request) error {
			io.WriteString(w, `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}`)
			return nil
		})
		q := NewQueue(e, QueueOptions{Batch: 4}, slog.New(slog.NewTextHandler(&log, nil)))
		for range 10 {
			for _, s := range some(4) {
				q.OnEnd(s)
			}
			synctest.Wait()
		}
		if n := q.Dropped(); n != 30 {
			t.Errorf("%d were dropped, want 30", n)
		}
		for _, s := range some(2) { // fewer than it says
			q.OnEnd(s)
		}
		q.Shutdown(t.Context())
		if n := q.Dropped(); n != 32 {
			t.Errorf("%d were dropped in the end, want 32", n)
		}
		if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "too old") != 2 || !strings.Contains(got, "count=3 ") || !strings.Contains(got, "count=29 ") {
			t.Errorf("the log has:\n%s", got)
		}
	})
}

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// What is dropped within a minute of a line in the log is told after it, with its reason, also when nothing is sent any more.
func TestQueue_TellsTheReasonAfterAQuietMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		reason := "the first"
		e := &taker{take: func(context.Context) error { return errors.New(reason) }}
		q := NewQueue(e, QueueOptions{Batch: 1}, slog.New(slog.NewTextHandler(&log, nil)))
		defer q.Shutdown(t.Context())
		q.OnEnd(some(1)[0])
		synctest.Wait()
		reason = "the second"
		q.OnEnd(some(1)[0])
		synctest.Wait()
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "the first") {
			t.Errorf("at first the log has:\n%s", got)
		}
		time.Sleep(tellEvery)
		synctest.Wait()
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "the second") {
			t.Errorf("a minute later the log has:\n%s", got)
		}
	})
}

func TestQueue_CountsWhatEndsDuringTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *Queue
		e := &taker{take: func(context.Context) error {
			for _, s := range some(3) {
				q.OnEnd(s)
			}
			return errors.New("it is away")
		}}
		q = NewQueue(e, QueueOptions{}, nil)
		q.OnEnd(some(1)[0])
		q.Shutdown(t.Context())
		q.OnEnd(some(1)[0])
		if n := q.Dropped(); n != 5 {
			t.Errorf("%d were dropped, want all 5", n)
		}
	})
}

func TestQueue_LeavesOutWhatIsNotSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &taker{}
		p := sdk.NewTracerProvider(sdk.WithSpanProcessor(NewQueue(e, QueueOptions{}, nil)), sdk.WithSampler(recordOnly{}))
		_, s := p.Tracer("").Start(t.Context(), "recorded, not sampled")
		s.End()
		p.Shutdown(t.Context())
		if e.total() != 0 {
			t.Errorf("got %v", e.batches())
		}
	})
}

type recordOnly struct{}

func (recordOnly) ShouldSample(sdk.SamplingParameters) sdk.SamplingResult {
	return sdk.SamplingResult{Decision: sdk.RecordOnly}
}

func (recordOnly) Description() string { return "recordOnly" }
