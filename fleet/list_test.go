package fleet

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/task"
)

// busy is a fleet of this process with one worker, which has the first of so many jobs until release is closed; the second was cancelled
// while it waits. The caller closes it.
func busy(t *testing.T, jobs int) (f *Fleet, release chan struct{}, ids []queue.ID) {
	t.Helper()
	release = make(chan struct{})
	f, err := Local(context.Background(), native.New([]*native.Func{{
		Export: bundle.Export{Name: "one", Limits: bundle.Limits{Slots: 1}},
		Call: func(ctx context.Context, _ engine.Format, _, dst []byte) ([]byte, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return dst, ctx.Err()
		},
	}}), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range jobs {
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
	return f, release, ids
}

// A job that was cancelled while it waits says so before a worker takes it.
func TestJobs_CancelledOnesThatWaitAreListedSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, release, ids := busy(t, 3)
		defer f.Close()
		jobs, err := f.Jobs(t.Context(), 10, 0)
		if err != nil || len(jobs) != 3 {
			t.Fatalf("%+v, %v", jobs, err)
		}
		for i, want := range []string{JobQueued, JobCanceling, JobQueued} {
			one, err := f.Job(t.Context(), ids[i], 0)
			if jobs[i].State != want || one.State != want || err != nil {
				t.Errorf("job %d: %q in the list, %q by its id, %v; want %q", i, jobs[i].State, one.State, err, want)
			}
		}
		close(release)
		for i, want := range []string{JobSucceeded, JobCanceled, JobSucceeded} {
			if _, err := f.WaitJob(t.Context(), ids[i], nil); err != nil {
				t.Fatal(err)
			}
			if one, err := f.Job(t.Context(), ids[i], 0); one.State != want || err != nil {
				t.Errorf("job %d ended as %q, %v; want %q", i, one.State, err, want)
			}
		}
	})
}
