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
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
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

// Answer is one answer of a Map.
type Answer[In, Out any] struct {
	Index  int // of the input, from 0
	Input  In
	Value  Out
	Err    error
	Worker Worker
}

// Map runs the function on every input and yields each answer as it comes, one per
// input. Inputs are drawn on a goroutine of its own, at most 65,536 ahead of the answers.
// Small tasks travel together; a slow one never holds others back. When ctx
// ends, inputs not yet answered are answered with its error; when the loop is
// left, they are cancelled. Map lets go of the sequence before it returns: one that blocks must
// end with ctx.
func (f *Function[In, Out]) Map(ctx context.Context, on *Fleet, inputs iter.Seq[In], opts ...CallOptions) iter.Seq[Answer[In, Out]] {
	return func(yield func(Answer[In, Out]) bool) {
		m := newMapper(ctx, f, on, callOptions(opts))
		defer m.stop()
		m.wg.Go(func() { m.draw(inputs) })
		for {
			answers, more := m.next()
			for i := range answers {
				if !yield(answers[i]) {
					return
				}
			}
			m.taken(len(answers))
			m.recycle(answers)
			if !more {
				return
			}
		}
	}
}

// MapOrdered is Map with the answers in the order of the inputs.
func (f *Function[In, Out]) MapOrdered(ctx context.Context, on *Fleet, inputs iter.Seq[In], opts ...CallOptions) iter.Seq[Answer[In, Out]] {
	return func(yield func(Answer[In, Out]) bool) {
		early := map[int]Answer[In, Out]{}
		next := 0
		m := newMapper(ctx, f, on, callOptions(opts))
		defer m.stop()
		m.wg.Go(func() { m.draw(inputs) })
		for {
			answers, more := m.next()
			for _, a := range answers {
				early[a.Index] = a
			}
			for ; ; next++ {
				a, ok := early[next]
				if !ok {
					break
				}
				delete(early, next)
				if !yield(a) {
					return
				}
				m.taken(1)
			}
			m.recycle(answers)
			if !more {
				return
			}
		}
	}
}

// chunk is inputs handed to the boss together. The calls and the inputs'
// bytes are one allocation each.
type chunk[In, Out any] struct {
	m      *mapper[In, Out]
	first  int // index of the first input
	inputs []In
	calls  []boss.Call
	ends   []int // where each input's bytes end in data
	data   []byte
	open   []bool // not answered yet; guarded by m.mu
}

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

func (m *mapper[In, Out]) newChunk() *chunk[In, Out] {
	return &chunk[In, Out]{m: m, inputs: make([]In, 0, m.usual), ends: make([]int, 0, m.usual)}
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

// large sends an input by reference, in a chunk of its own.
func (m *mapper[In, Out]) large(in In, data []byte) {
	m.flush()
	v, err := m.on.f.Outline(m.ctx, data)
	if err != nil {
		m.refuse(in, err)
		return
	}
	m.fill.Lock()
	defer m.fill.Unlock()
	c := m.newChunk()
	c.inputs = []In{in}
	m.startChunk(c, []task.Value{v})
}

// startChunk hands a chunk to the boss. m.fill is held.
func (m *mapper[In, Out]) startChunk(c *chunk[In, Out], values []task.Value) {
	n := len(c.inputs)
	m.usual = n
	c.calls = make([]boss.Call, n)
	c.open = make([]bool, n)
	pointers := make([]*boss.Call, n)
	tries := m.f.tries(m.opts)
	for i := range c.calls { // field by field: a whole Call is dear to copy
		call := &c.calls[i]
		call.Function, call.Format, call.Input = m.f.name, engine.CBOR, values[i]
		call.Timeout, call.Tries, call.Place = m.opts.Timeout, tries, m.place
		call.Sink, call.Index = c, i
		c.open[i] = true
		pointers[i] = call
	}
	m.mu.Lock()
	c.first = m.given
	m.given += n
	m.chunks[c] = n
	m.mu.Unlock()
	if err := m.begin(pointers); err != nil {
		m.answerAll(c, err)
	}
	if m.ctx.Err() != nil { // the end came while they were handed over
		m.answerAll(c, m.ended())
		m.cancelAll(c)
	}
}

// begin hands calls to the boss, by a name to what stands behind it now.
func (m *mapper[In, Out]) begin(calls []*boss.Call) error {
	digest, err := m.on.target(m.ctx, m.f.deploy)
	if err != nil {
		return err
	}
	for _, c := range calls {
		c.Digest = digest
	}
	return m.on.f.Boss().Start(m.ctx, calls...)
}

// ended is the error of what the context's end left without an answer.
func (m *mapper[In, Out]) ended() error {
	return fault.New(fault.KindOf(m.ctx.Err()), "call", m.f.Name(), context.Cause(m.ctx))
}

// refuse answers an input that never got to the boss.
func (m *mapper[In, Out]) refuse(in In, err error) {
	m.flush()
	m.mu.Lock()
	m.answers = append(m.answers, []Answer[In, Out]{{Index: m.given, Input: in, Err: err}})
	m.given++
	m.mu.Unlock()
	m.wake()
}

// Done takes one call's outcome.
func (c *chunk[In, Out]) Done(call *boss.Call, o task.Outcome, by boss.Worker) {
	if o.Status == task.OKRef { // to be fetched: not on the goroutine that reads the line
		o.Value = append([]byte(nil), o.Value...)
		c.m.on.f.Do(func() { c.take(call, o, by) })
		return
	}
	c.take(call, o, by)
}

func (c *chunk[In, Out]) take(call *boss.Call, o task.Outcome, by Worker) {
	c.give(append(c.m.batch(1), c.answer(call, o, by)))
}

// DoneAll takes the outcomes of calls that came together: one lock, and the
// consumer woken once.
func (c *chunk[In, Out]) DoneAll(ends []boss.Ending) {
	answers := c.m.batch(len(ends))
	for i := range ends {
		e := &ends[i]
		if e.Outcome.Status == task.OKRef {
			c.Done(e.Call, e.Outcome, e.By)
			continue
		}
		answers = append(answers, c.answer(e.Call, e.Outcome, e.By))
	}
	c.give(answers)
}

func (c *chunk[In, Out]) answer(call *boss.Call, o task.Outcome, by Worker) Answer[In, Out] {
	m := c.m
	value, err := decode(m.ctx, m.on, m.f.out, m.f.name, o)
	return Answer[In, Out]{Index: c.first + call.Index, Input: c.inputs[call.Index], Value: value, Err: err, Worker: by}
}

// give hands answers of this chunk to the consumer, but for those of inputs
// that have been answered already.
func (c *chunk[In, Out]) give(answers []Answer[In, Out]) {
	c.m.mu.Lock()
	c.giveLocked(answers)
	c.m.mu.Unlock()
	c.m.wake()
}

func (c *chunk[In, Out]) giveLocked(answers []Answer[In, Out]) {
	m := c.m
	fresh := 0
	for i := range answers {
		open := &c.open[answers[i].Index-c.first]
		if !*open {
			continue
		}
		*open = false
		if fresh < i {
			answers[fresh] = answers[i]
		}
		fresh++
	}
	if fresh == 0 {
		return
	}
	m.answers = append(m.answers, answers[:fresh])
	if m.chunks[c] -= fresh; m.chunks[c] == 0 {
		delete(m.chunks, c)
	}
}

// Progress passes a report on.
func (c *chunk[In, Out]) Progress(_ *boss.Call, value []byte) {
	if f := c.m.opts.OnProgress; f != nil {
		f(Progress{value: append([]byte(nil), value...)})
	}
}

// answerAll answers what is open in a chunk with err.
func (m *mapper[In, Out]) answerAll(c *chunk[In, Out], err error) {
	var answers []Answer[In, Out]
	m.mu.Lock()
	for i, open := range c.open {
		if open {
			answers = append(answers, Answer[In, Out]{Index: c.first + i, Input: c.inputs[i], Err: err})
		}
	}
	c.giveLocked(answers)
	m.mu.Unlock()
	m.wake()
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
