package become

import (
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

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

func (m *mapper[In, Out]) newChunk() *chunk[In, Out] {
	return &chunk[In, Out]{m: m, inputs: make([]In, 0, m.usual), ends: make([]int, 0, m.usual)}
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
