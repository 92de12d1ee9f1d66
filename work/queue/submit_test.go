package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// shelf is a queue that keeps what is put, after gate lets it.
type shelf struct {
	bus.Queue // nothing else is called
	gate      chan struct{}

	mu    sync.Mutex
	puts  []*queue.Record
	ids   []string
	subj  []string
	fails []error // for the next puts
	wakes []string
}

func (s *shelf) Put(ctx context.Context, subject string, data []byte, id string, header ...map[string]string) (uint64, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fails) > 0 {
		err := s.fails[0]
		s.fails = s.fails[1:]
		return 0, err
	}
	r, err := queue.DecodeRecord(slices.Clone(data))
	if err != nil {
		return 0, err
	}
	if len(header) > 0 {
		r.ReadHeader(header[0])
	}
	s.puts, s.ids, s.subj = append(s.puts, r), append(s.ids, id), append(s.subj, subject)
	return uint64(len(s.puts)), nil
}

// bell is a bus on which nodes are woken.
type bell struct {
	bus.Messenger
	s *shelf
}

func (b bell) Publish(subject string, data []byte) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if subject == roster.SubjectWake {
		b.s.wakes = append(b.s.wakes, string(data))
	}
	return nil
}

var spec = queue.Spec{Digest: "d", Function: "f", Format: engine.CBOR, Timeout: time.Second, Tries: 2}

// submit starts n submissions and returns a function that waits for their ids.
func submit(t *testing.T, s *queue.Submitter, spec queue.Spec, n, size int) func() []queue.ID {
	t.Helper()
	ids := make([]queue.ID, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			data := slices.Repeat([]byte{byte(i), byte(i >> 8)}, size/2)
			var err error
			if ids[i], err = s.Submit(context.Background(), spec, task.Value{Data: data}); err != nil {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	return func() []queue.ID { wg.Wait(); return ids }
}

func TestSubmitter_JobsTravelTogetherWhileWritesAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{gate: make(chan struct{})}
		s := queue.NewSubmitter(sh, bell{s: sh}, "boss")
		defer s.Close()
		wait := submit(t, s, spec, 1000, 2)
		synctest.Wait()
		close(sh.gate)
		ids := wait()
		if n := len(sh.puts); n < 4 || n > 8 { // at most 256 a record, and two writers that began with little
			t.Errorf("%d records for 1000 jobs", n)
		}
		total := 0
		for i, r := range sh.puts {
			total += len(r.Jobs)
			if len(r.Jobs) > 256 {
				t.Errorf("%d jobs in a record", len(r.Jobs))
			}
			if sh.subj[i] != queue.Subject("d", queue.Normal, "f") || r.Function != "f" || r.Boss != "boss" || r.Tries != 2 || r.Timeout != time.Second || r.Format != engine.CBOR {
				t.Errorf("record %d is %+v under %s", i, r, sh.subj[i])
			}
		}
		if total != 1000 {
			t.Errorf("%d jobs were kept", total)
		}
		seen := map[queue.ID]bool{}
		for i, id := range ids {
			if seen[id] {
				t.Errorf("two jobs have the id %v", id)
			}
			seen[id] = true
			if v := sh.puts[id.Seq-1].Jobs[id.Index].Data; v[0] != byte(i) || v[1] != byte(i>>8) {
				t.Errorf("the id of job %d names another", i)
			}
		}
		if slices.Sort(sh.ids); len(slices.Compact(sh.ids)) != len(sh.puts) {
			t.Error("two records have the same message id")
		}
		if len(sh.wakes) != 1 || sh.wakes[0] != "d" {
			t.Errorf("nodes were woken with %q, want once", sh.wakes)
		}
	})
}

func TestSubmitter_RecordsAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{gate: make(chan struct{})}
		s := queue.NewSubmitter(sh, bell{s: sh}, "boss")
		defer s.Close()
		wait := submit(t, s, spec, 40, 100<<10)
		synctest.Wait()
		close(sh.gate)
		wait()
		for _, r := range sh.puts {
			n := 0
			for _, v := range r.Jobs {
				n += len(v.Data)
			}
			if n > 256<<10 {
				t.Errorf("a record of %d bytes", n)
			}
		}
		if len(sh.puts) < 20 {
			t.Errorf("%d records", len(sh.puts))
		}
	})
}

func TestSubmitter_DifferentWishesAreDifferentRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{gate: make(chan struct{})}
		s := queue.NewSubmitter(sh, bell{s: sh}, "boss")
		defer s.Close()
		var waits []func() []queue.ID
		for i := range 5 {
			other := spec
			other.Function = fmt.Sprint("f", i)
			waits = append(waits, submit(t, s, other, 10, 2))
		}
		synctest.Wait()
		close(sh.gate)
		var all [][]queue.ID
		for _, wait := range waits {
			all = append(all, wait())
		}
		for i, ids := range all {
			for _, id := range ids {
				if f := sh.puts[id.Seq-1].Function; f != fmt.Sprint("f", i) {
					t.Errorf("a job of f%d is in a record of %s", i, f)
				}
			}
		}
	})
}

func TestSubmitter_WaitsWhileTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := fault.Text(fault.Busy, "", "", "the queue is full")
		sh := &shelf{fails: []error{busy, busy, busy}}
		s := queue.NewSubmitter(sh, bell{s: sh}, "boss")
		defer s.Close()
		if id, err := s.Submit(context.Background(), spec, task.Value{}); err != nil || id != (queue.ID{Seq: 1}) {
			t.Errorf("got %v, %v", id, err)
		}
		sh.fails = []error{busy}
		quick := spec
		quick.NoWait = true
		if _, err := s.Submit(context.Background(), quick, task.Value{}); fault.KindOf(err) != fault.Busy {
			t.Errorf("with NoWait: %v, want busy", err)
		}
		sh.fails = slices.Repeat([]error{busy}, 1000)
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if _, err := s.Submit(ctx, spec, task.Value{}); fault.KindOf(err) != fault.Busy {
			t.Errorf("until its context ended: %v, want busy", err)
		}
		sh.fails = []error{fault.Text(fault.Denied, "", "", "no right to")}
		if _, err := s.Submit(context.Background(), spec, task.Value{}); fault.KindOf(err) != fault.Denied {
			t.Errorf("got %v, want denied at once", err)
		}
	})
}

func TestSubmitter_EndsWithItsContextAndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{gate: make(chan struct{})} // never opens
		s := queue.NewSubmitter(sh, bell{s: sh}, "boss")
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_, err := s.Submit(ctx, spec, task.Value{})
		if fault.KindOf(err) != fault.Deadline || fault.Hint(err) == "" {
			t.Errorf("got %v with the hint %q", err, fault.Hint(err))
		}
		ended := make(chan error)
		go func() {
			_, err := s.Submit(context.Background(), spec, task.Value{})
			ended <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
}
