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
