package otlp

import (
	"context"
	"errors"
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

	mu    sync.RWMutex // held for reading while a span is taken
	ended bool         // no more are taken

	// The goroutine's:
	told   uint64      // of dropped, in the log
	toldAt time.Time   // when
	due    *time.Timer // when it is to be told again, if it runs
	why    error       // the last that came of a batch since, if one was dropped
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
	q.due = stopped()
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
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.ended {
		q.dropped.Add(1)
		return
	}
	select {
	case q.spans <- s:
	default:
		q.dropped.Add(1)
	}
}

// Dropped is how many spans were not delivered: for which there was no room, which the collector has not taken, or which came after the end.
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

// Shutdown tries once to send what waits, for two seconds at most and no longer than until ctx ends, and returns when nothing is sent any more.
// A batch that was on its way is sent again: it may arrive twice. What could not be sent is dropped.
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
	late := stopped()
	defer q.due.Stop()
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
		case <-q.due.C:
			q.tell()
			continue
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
	if !taken(err) && q.ctx.Err() != nil {
		return false
	}
	q.count(err, len(batch))
	q.tellInTime()
	return true
}

// taken reports whether the collector took a batch, or a part of it.
func taken(err error) bool {
	_, part := errors.AsType[*Rejected](err)
	return err == nil || part
}

// count counts what was dropped of a batch.
func (q *Queue) count(err error, batch int) {
	if err == nil {
		return
	}
	if r, ok := errors.AsType[*Rejected](err); ok {
		batch = min(batch, r.Spans)
	}
	q.dropped.Add(uint64(batch))
	q.why = err
}

// tellInTime tells the log what was dropped, now or when it may be told again.
func (q *Queue) tellInTime() {
	if quiet := tellEvery - time.Since(q.toldAt); quiet > 0 && !q.toldAt.IsZero() && q.dropped.Load() > q.told {
		q.due.Reset(quiet)
		return
	}
	q.tell()
}

// endWithin is the longest time that the end waits for a collector, whatever its deadline.
const endWithin = 2 * time.Second

// end sends what waits. A collector that does not take one batch is not asked to take the others.
func (q *Queue) end(ctx context.Context, batch []sdk.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, onceKey{}, true), endWithin)
	defer cancel()
	batch = q.waiting(batch)
	for away := false; len(batch) > 0 && !away; batch = q.waiting(batch) {
		n := min(len(batch), q.opts.Batch)
		err := q.to.ExportSpans(ctx, batch[:n])
		away = !taken(err)
		q.count(err, n)
		batch = batch[n:]
	}
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.dropped.Add(uint64(len(q.waiting(batch)))) // what ended meanwhile is lost
	q.tell()
}

// tell logs what was dropped since it was told last.
func (q *Queue) tell() {
	n := q.dropped.Load()
	if n == q.told {
		return
	}
	args := []any{"count", n - q.told}
	if q.why != nil {
		args = append(args, "err", q.why)
	} else {
		args = append(args, "reason", "there were more than could be sent")
	}
	q.logger.Warn("spans of traces were dropped", args...)
	q.told, q.toldAt, q.why = n, time.Now(), nil
}

// stopped is a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
