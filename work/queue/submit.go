package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// Bounds of one record, and how many records are written at once per kind of
// job: a second one so that the disk never waits for the next batch.
const (
	recordJobs  = 256
	recordBytes = 256 << 10
	writers     = 2
)

// Spec is what a submitter says of its jobs, besides their inputs.
type Spec struct {
	Digest   string
	Function string
	Format   engine.Format
	Timeout  time.Duration
	Tries    int
	// NoWait refuses with fault.Busy when the queue is full. Default: wait for room.
	NoWait bool
}

// Submitter puts jobs into the queue. Jobs submitted while a write is under way go
// into the next one together.
type Submitter struct {
	queue bus.Queue
	wakes bus.Messenger
	boss  string

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	lanes  map[Spec]*lane
	woken  map[string]time.Time // digest → when nodes were last told
	number uint64
}

// lane is the jobs of one Spec.
type lane struct {
	open    *batch // being filled
	full    []*batch
	writing int
}

// batch becomes one record.
type batch struct {
	jobs       []task.Value
	places     []trace.Place // nil while there are none
	bytes      int
	placeBytes int
	done       chan struct{}
	seq        uint64
	err        error
}

// fullFor says whether one more job has no room.
func (b *batch) fullFor(input task.Value, place trace.Place) bool {
	return len(b.jobs) == recordJobs || b.bytes+len(input.Data) > recordBytes || b.placeBytes > 0 && b.placeBytes+placeSize(place) > maxPlaces-4*recordJobs
}

func (b *batch) add(input task.Value, place trace.Place) {
	if place.Valid() && b.places == nil {
		b.places = make([]trace.Place, len(b.jobs))
	}
	if b.places != nil {
		b.places = append(b.places, place)
	}
	b.jobs = append(b.jobs, input)
	b.bytes += len(input.Data)
	b.placeBytes += placeSize(place)
}

// placeSize is how long a place is in a header at most: a quote in a tracestate takes two bytes there.
func placeSize(p trace.Place) int {
	if !p.Valid() {
		return 0
	}
	return 60 + 2*len(p.State)
}

// NewSubmitter returns a submitter for the boss of that name. Close it.
func NewSubmitter(q bus.Queue, wakes bus.Messenger, boss string) *Submitter {
	s := &Submitter{queue: q, wakes: wakes, boss: boss, lanes: map[Spec]*lane{}, woken: map[string]time.Time{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

var errClosed = errors.New("the submitter is closed")

// Close ends the writes under way with an error and waits for them. Afterwards Submit
// refuses with fault.Canceled.
func (s *Submitter) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// Submit returns when the job is kept. It waits while the queue is full, until
// ctx ends. fault.Deadline when the spec's Timeout is below zero: its time is over. After an error
// that is not that, and not fault.Busy, Invalid or Denied, the job may have been kept all the same.
//
// The job is kept with ctx's place in a trace.
func (s *Submitter) Submit(ctx context.Context, spec Spec, input task.Value) (ID, error) {
	if spec.Timeout < 0 {
		return ID{}, task.Late("submit job of", spec.Function, spec.Timeout)
	}
	spec.Tries = max(0, spec.Tries)
	place := trace.From(ctx)
	wait := 20 * time.Millisecond
	for {
		b, i, err := s.join(spec, input, place)
		if err != nil {
			return ID{}, err
		}
		select {
		case <-b.done:
		case <-ctx.Done():
			return ID{}, fault.New(fault.KindOf(ctx.Err()), "submit job of", spec.Function, context.Cause(ctx)).WithHint("it may have been submitted all the same")
		}
		if b.err == nil {
			return ID{b.seq, i}, nil
		}
		if spec.NoWait || fault.KindOf(b.err) != fault.Busy {
			return ID{}, fault.New(fault.KindOf(b.err), "submit job of", spec.Function, b.err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ID{}, fault.New(fault.Busy, "submit job of", spec.Function, b.err)
		}
		wait = min(2*wait, time.Second)
	}
}

// join puts the job into a batch and makes sure that the batch is written.
func (s *Submitter) join(spec Spec, input task.Value, place trace.Place) (*batch, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, fault.New(fault.Canceled, "submit job of", spec.Function, errClosed)
	}
	l := s.lanes[spec]
	if l == nil {
		l = &lane{}
		s.lanes[spec] = l
	}
	if l.open != nil && l.open.fullFor(input, place) {
		l.full = append(l.full, l.open)
		l.open = nil
	}
	if l.open == nil {
		l.open = &batch{done: make(chan struct{})}
	}
	b := l.open
	b.add(input, place)
	if l.writing < writers {
		l.writing++
		s.wg.Go(func() { s.write(spec, l) })
	}
	return b, len(b.jobs) - 1, nil
}

// write puts batches of a lane until there are none.
func (s *Submitter) write(spec Spec, l *lane) {
	for {
		s.mu.Lock()
		var b *batch
		switch {
		case len(l.full) > 0:
			b, l.full = l.full[0], l.full[1:]
		case l.open != nil:
			b, l.open = l.open, nil
		default:
			if l.writing--; l.writing == 0 {
				delete(s.lanes, spec)
			}
			s.mu.Unlock()
			return
		}
		s.number++
		id := fmt.Sprintf("%s-%d", s.boss, s.number)
		s.mu.Unlock()
		b.seq, b.err = s.put(spec, b, id)
		close(b.done)
	}
}

func (s *Submitter) put(spec Spec, b *batch, id string) (uint64, error) {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	r := Record{Function: spec.Function, Format: spec.Format, Boss: s.boss, Timeout: spec.Timeout, Tries: spec.Tries, Jobs: b.jobs, Places: b.places}
	seq, err := Put(ctx, s.queue, Subject(spec.Digest, Normal, spec.Function), &r, id)
	if err != nil {
		return 0, err
	}
	s.wake(spec.Digest)
	return seq, nil
}

// wake tells the nodes that there are jobs, at most a few times a second.
// They look for themselves too, just less often.
func (s *Submitter) wake(digest string) {
	s.mu.Lock()
	due := time.Since(s.woken[digest]) > 250*time.Millisecond
	if due {
		s.woken[digest] = time.Now()
	}
	s.mu.Unlock()
	if due {
		s.wakes.Publish(roster.SubjectWake, []byte(digest))
	}
}
