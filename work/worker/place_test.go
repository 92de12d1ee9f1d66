package worker_test

import (
	"context"
	"testing"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/task"
)

func placeAt(n byte) trace.Place {
	return trace.Place{Trace: [16]byte{1}, Span: [8]byte{n}, Flags: 1, State: "a=1"}
}

// Each job of a record runs where it was submitted from, however often: also when the rest of its record is put back, and by whoever takes it.
func TestJobs_RunWhereTheyWereSubmittedFrom(t *testing.T) {
	inYard(t, 1, func(t *testing.T, y *yard) {
		r := queue.Record{Function: "where", Format: engine.CBOR, Boss: "b", Jobs: make([]task.Value, 4)}
		r.Places = []trace.Place{placeAt(1), {}, placeAt(3), placeAt(4)}
		seq, err := queue.Put(context.Background(), y.queue, queue.Subject("d", queue.Normal, "where"), &r, "")
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range r.Places {
			o := y.find(seq, i)
			if got := task.ParsePlace(string(o.Value)); got != want || o.Status != task.OK {
				t.Errorf("job %d ran at %q, want %v; %v", i, o.Value, want, o.Err)
			}
		}
	})
}

// where fails the first time, and then answers where it is.
func where(ctx context.Context, _ []byte) ([]byte, error) {
	place := trace.From(ctx)
	if engine.HandleOf(ctx).Attempt() == 1 {
		return nil, context.DeadlineExceeded
	}
	return []byte(task.PlaceText(place)), nil
}

var limitsOfWhere = bundle.Limits{BackoffMS: 1}
