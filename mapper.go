package become

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/task"
)

// mapWindow is how many inputs Map has under way at once: enough to keep any
// fleet busy, little enough to bound memory.
const mapWindow = 1 << 16

// mapChunk is how many inputs are handed to the boss together.
const mapChunk = 1024

// spareBatches is how many slices of answers are kept to be filled again.
const spareBatches = 16

// chunkWait is how long an input may wait for its chunk to fill.
const chunkWait = time.Millisecond

// mapper is one Map under way.
type mapper[In, Out any] struct {
	f      *Function[In, Out]
	on     *Fleet
	opts   CallOptions
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	fill    sync.Mutex // guards filling and the order of starts
	filling *chunk[In, Out]
	values  []task.Value // flush's own
	usual   int          // inputs of the last chunk: the next one is made for as many
	timer   *time.Timer

	mu      sync.Mutex
	room    sync.Cond
	ready   chan struct{}           // has an item when answers are there or all is drawn
	answers [][]Answer[In, Out]     // in the batches in which they came
	spare   [][]Answer[In, Out]     // batches to be filled again
	chunks  map[*chunk[In, Out]]int // chunks with open calls, and how many
	drawn   int                     // inputs drawn, or allowed to be
	yielded int                     // answers the consumer is done with
	given   int                     // answers given to next
	over    bool                    // the source has ended

	span  *span.Span   // of all the calls; nil if nobody makes them
	place *trace.Place // where they are called from, in a trace
}

func newMapper[In, Out any](ctx context.Context, f *Function[In, Out], on *Fleet, opts CallOptions) *mapper[In, Out] {
	m := &mapper[In, Out]{f: f, on: on, opts: opts, ready: make(chan struct{}, 1), chunks: map[*chunk[In, Out]]int{}}
	m.room.L = &m.mu
	if span.On() {
		ctx, m.span = span.Begin(ctx, span.Client, "map "+f.Name())
	}
	m.place = placeOf(ctx)
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.timer = time.AfterFunc(time.Hour, m.flush)
	m.timer.Stop()
	return m
}

// draw takes the inputs and hands them to the boss.
func (m *mapper[In, Out]) draw(inputs iter.Seq[In]) {
	defer func() {
		m.flush()
		m.mu.Lock()
		m.over = true
		m.mu.Unlock()
		m.wake()
	}()
	unblock := context.AfterFunc(m.ctx, func() {
		m.mu.Lock()
		m.room.Broadcast()
		m.mu.Unlock()
	})
	defer unblock()
	room := 0
	for in := range inputs {
		if room == 0 {
			room = m.waitForRoom()
		}
		if room == 0 || m.ctx.Err() != nil {
			return
		}
		room--
		m.add(in)
	}
}

// waitForRoom blocks while the window is full, and returns how many inputs may
// be drawn then; 0 when the context has ended.
func (m *mapper[In, Out]) waitForRoom() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn-m.yielded >= mapWindow {
		m.mu.Unlock()
		m.flush()
		m.mu.Lock()
	}
	for m.drawn-m.yielded >= mapWindow && m.ctx.Err() == nil {
		m.room.Wait()
	}
	if m.ctx.Err() != nil {
		return 0
	}
	n := min(mapChunk, mapWindow-(m.drawn-m.yielded))
	m.drawn += n
	return n
}

// add puts one input into the chunk being filled, and starts the chunk when it
// is full.
func (m *mapper[In, Out]) add(in In) {
	m.fill.Lock()
	c := m.filling
	if c == nil {
		c = m.newChunk()
		m.filling = c
		m.timer.Reset(chunkWait)
	}
	data, err := m.f.in.Append(c.data, in)
	if err == nil && len(data)-len(c.data) > task.Inline {
		m.fill.Unlock()
		m.large(in, data[len(c.data):])
		return
	}
	if err != nil {
		m.fill.Unlock()
		m.refuse(in, fault.New(fault.Invalid, "send argument of", m.f.Name(), plain(err)))
		return
	}
	c.data = data
	c.ends = append(c.ends, len(data))
	c.inputs = append(c.inputs, in)
	full := len(c.inputs) == mapChunk || len(c.data) > task.Inline
	m.fill.Unlock()
	if full {
		m.flush()
	}
}

// flush starts the chunk being filled.
func (m *mapper[In, Out]) flush() {
	m.fill.Lock()
	defer m.fill.Unlock()
	c := m.filling
	m.filling = nil
	if c == nil || len(c.inputs) == 0 {
		return
	}
	start := 0
	values := m.values[:0]
	for _, end := range c.ends {
		values = append(values, task.Value{Data: c.data[start:end]})
		start = end
	}
	m.values = values
	m.startChunk(c, values)
}

// ended is the error of what the context's end left without an answer.
func (m *mapper[In, Out]) ended() error {
	return fault.New(fault.KindOf(m.ctx.Err()), "call", m.f.Name(), context.Cause(m.ctx))
}

// batch returns an empty slice for n answers.
func (m *mapper[In, Out]) batch(n int) []Answer[In, Out] {
	var b []Answer[In, Out]
	m.mu.Lock()
	if last := len(m.spare) - 1; last >= 0 {
		b, m.spare = m.spare[last], m.spare[:last]
	}
	m.mu.Unlock()
	return slices.Grow(b, n)
}

// recycle takes a batch that the consumer is done with.
func (m *mapper[In, Out]) recycle(answers []Answer[In, Out]) {
	clear(answers)
	m.mu.Lock()
	if len(m.spare) < spareBatches {
		m.spare = append(m.spare, answers[:0])
	}
	m.mu.Unlock()
}

func (m *mapper[In, Out]) wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// next returns the answers there are, at least one unless it is the end.
func (m *mapper[In, Out]) next() (answers []Answer[In, Out], more bool) {
	var back func()
	defer func() {
		if back != nil {
			back()
		}
	}()
	ctxDone := m.ctx.Done()
	for {
		m.mu.Lock()
		if len(m.answers) > 0 {
			answers, m.answers = m.answers[0], m.answers[1:]
		}
		more = !m.over || len(m.chunks) > 0 || len(m.answers) > 0
		m.mu.Unlock()
		if len(answers) > 0 || !more {
			return answers, more
		}
		if back == nil {
			back = yieldSlot(m.ctx)
		}
		select {
		case <-m.ready:
		case <-ctxDone:
			ctxDone = nil
			m.abort()
		}
	}
}

// taken makes room for n more inputs.
func (m *mapper[In, Out]) taken(n int) {
	m.mu.Lock()
	m.yielded += n
	m.room.Broadcast()
	m.mu.Unlock()
}

// abort answers every open input with the context's error and cancels its call.
func (m *mapper[In, Out]) abort() {
	for c := range m.openChunks() {
		m.answerAll(c, m.ended())
		m.cancelAll(c)
	}
}

func (m *mapper[In, Out]) cancelAll(c *chunk[In, Out]) {
	for i := range c.calls {
		m.on.f.Boss().Cancel(&c.calls[i])
	}
}

func (m *mapper[In, Out]) openChunks() map[*chunk[In, Out]]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	open := make(map[*chunk[In, Out]]int, len(m.chunks))
	for c, n := range m.chunks {
		open[c] = n
	}
	return open
}

// stop ends the drawing and cancels what is open.
func (m *mapper[In, Out]) stop() {
	m.cancel()
	m.timer.Stop()
	m.wg.Wait()
	m.abort()
	if m.span != nil {
		m.mu.Lock()
		m.span.Number("become.tasks", m.given)
		m.mu.Unlock()
		m.span.End(nil)
	}
}
