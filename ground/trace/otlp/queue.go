package otlp

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// QueueOptions bound a Queue. Zero means the default.
type QueueOptions struct {
	// Delay is how long a span waits for others. Default 5 s.
	Delay time.Duration
	// Within is how long it is tried to deliver a batch. Default 30 s.
	Within time.Duration
	// Size is how many spans wait at most; more are dropped. Default 2048.
	Size int
	// Batch is how many go together. Default 512.
	Batch int
}

func (o *QueueOptions) setDefaults() {
	if o.Delay <= 0 {
		o.Delay = 5 * time.Second
	}
	if o.Within <= 0 {
		o.Within = 30 * time.Second
	}
	if o.Size <= 0 {
		o.Size = 2048
	}
	if o.Batch <= 0 {
		o.Batch = 512
	}
	o.Batch = min(o.Batch, o.Size)
}

// Queue hands spans to an exporter in batches. It is a SpanProcessor of OpenTelemetry's SDK. One goroutine, which Shutdown waits for, exports.
//
// Why not the SDK's own? That one does not say how many spans it has dropped, and its end waits for a collector that is away.
type Queue struct {
	opts   QueueOptions
	to     sdk.SpanExporter
	logger *slog.Logger

	spans   chan sdk.ReadOnlySpan
	wanted  chan chan struct{} // closed when all that waits has been tried
	ctx     context.Context    // of the exports, until the end begins
	hurry   context.CancelFunc
	quit    chan context.Context // holds the context of the end
	over    chan struct{}        // closed when the goroutine has ended
	closing sync.Once

	dropped atomic.Uint64
	told    uint64    // of dropped, in the log; the goroutine's
	toldAt  time.Time // the goroutine's
}

var _ sdk.SpanProcessor = (*Queue)(nil)

// tellEvery is the shortest time between two lines in the log.
const tellEvery = time.Minute

// NewQueue returns a queue before an exporter. Shut it down. The logger, which may be nil, is told of what could not be delivered.
func NewQueue(to sdk.SpanExporter, o QueueOptions, logger *slog.Logger) *Queue {
	o.setDefaults()
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	q := &Queue{
		opts: o, to: to, logger: logger, spans: make(chan sdk.ReadOnlySpan, o.Size), wanted: make(chan chan struct{}),
		quit: make(chan context.Context, 1), over: make(chan struct{}),
	}
	q.ctx, q.hurry = context.WithCancel(context.Background())
	go q.run()
	return q
}

// OnStart does nothing.
func (q *Queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd takes a span, if it is to be recorded and there is room. It never waits.
func (q *Queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case <-q.over:
		q.dropped.Add(1)
		return
	default:
	}
	select {
	case q.spans <- s:
	default:
		q.dropped.Add(1)
	}
}

// Dropped is how many spans were not delivered.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// ForceFlush returns when all that waits has been tried, or ctx ends.
func (q *Queue) ForceFlush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case q.wanted <- done:
	case <-q.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
	case <-q.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Shutdown sends what waits, each batch once, until ctx ends, and returns when nothing is sent any more. What could not be sent is dropped.
func (q *Queue) Shutdown(ctx context.Context) error {
	q.closing.Do(func() {
		q.quit <- ctx
		q.hurry()
	})
	<-q.over
	return q.to.Shutdown(ctx)
}

// run collects spans until the end.
func (q *Queue) run() {
	defer close(q.over)
	var batch []sdk.ReadOnlySpan
	late := time.NewTimer(time.Hour)
	late.Stop()
	for {
		if q.ctx.Err() != nil { // what that has interrupted is tried once more
			q.end(<-q.quit, batch)
			return
		}
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) == 1 {
				late.Reset(q.opts.Delay)
			}
			if len(batch) < q.opts.Batch {
				continue
			}
		case <-late.C:
		case done := <-q.wanted:
			batch = q.flush(batch)
			close(done)
			late.Stop()
			continue
		case <-q.ctx.Done():
			continue
		}
		late.Stop()
		if q.export(batch) {
			batch = nil
		}
	}
}

// flush exports what waits. What the end has interrupted is left.
func (q *Queue) flush(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	batch = q.waiting(batch)
	for len(batch) > 0 {
		n := min(len(batch), q.opts.Batch)
		if !q.export(batch[:n]) {
			return batch
		}
		batch = batch[n:]
	}
	return nil
}

// waiting adds what waits to a batch.
func (q *Queue) waiting(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	for n := len(q.spans); n > 0; n-- {
		batch = append(batch, <-q.spans)
	}
	return batch
}

// export delivers a batch or drops it. False: the end came meanwhile, and it is neither delivered nor dropped.
func (q *Queue) export(batch []sdk.ReadOnlySpan) bool {
	if len(batch) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(q.ctx, q.opts.Within)
	defer cancel()
	err := q.to.ExportSpans(ctx, batch)
	if err != nil && q.ctx.Err() != nil {
		return false
	}
	if err != nil {
		q.dropped.Add(uint64(len(batch)))
	}
	if q.toldAt.IsZero() || time.Since(q.toldAt) >= tellEvery {
		q.tell(err)
	}
	return true
}

// endWithin is the longest time that the end waits for a collector, whatever its deadline.
const endWithin = 2 * time.Second

// end sends what waits. A collector that does not take one batch is not asked to take the others.
func (q *Queue) end(ctx context.Context, batch []sdk.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, onceKey{}, true), endWithin)
	defer cancel()
	batch = q.waiting(batch)
	var err error
	for len(batch) > 0 && err == nil {
		n := min(len(batch), q.opts.Batch)
		if err = q.to.ExportSpans(ctx, batch[:n]); err == nil {
			batch = batch[n:]
		}
	}
	q.dropped.Add(uint64(len(batch)))
	q.tell(err)
}

// tell logs what was dropped since it was told last.
func (q *Queue) tell(err error) {
	n := q.dropped.Load()
	if n == q.told {
		return
	}
	args := []any{"count", n - q.told}
	if err != nil {
		args = append(args, "err", err)
	} else {
		args = append(args, "reason", "there were more than could be sent")
	}
	q.logger.Warn("spans of traces were dropped", args...)
	q.told, q.toldAt = n, time.Now()
}
