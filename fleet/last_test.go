package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/task"
)

// More than a day of a fleet: a value that was stored again is there for a whole day more, and a job that was
// cancelled stays so while another holds the only worker.
func TestLocal_ThingsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := Local(context.Background(), native.New([]*native.Func{{
			Export: bundle.Export{Name: "one", Limits: bundle.Limits{Slots: 1}},
			Call: func(ctx context.Context, _ engine.Format, _, dst []byte) ([]byte, error) {
				<-ctx.Done()
				return dst, ctx.Err()
			},
		}}), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var ids []queue.ID
		for range 2 {
			id, err := f.Submit(t.Context(), queue.Spec{Digest: LocalDigest, Function: "one", Format: engine.CBOR}, task.Value{})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			ids = append(ids, id)
		}
		if err := f.CancelJob(t.Context(), ids[1]); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []time.Duration{ValuesLast / 3, ValuesLast} {
			name, err := f.Values().Store(t.Context(), []byte("value"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			if v, err := f.Values().Load(t.Context(), name); string(v) != "value" {
				t.Errorf("%v after it was stored: %q, %v", wait, v, err)
			}
		}
		if j, err := f.Job(t.Context(), ids[1], 0); j.State != JobCanceling {
			t.Errorf("the cancelled job is %q, %v", j.State, err)
		}
	})
}
