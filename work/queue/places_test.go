package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/task"
)

func placeAt(n byte, state string) trace.Place {
	return trace.Place{Trace: [16]byte{1}, Span: [8]byte{n}, Flags: 1, State: state}
}

func TestRecord_PlacesTravelInTheHeader(t *testing.T) {
	r := queue.Record{Function: "f", Format: engine.CBOR, Jobs: make([]task.Value, 3), Places: []trace.Place{placeAt(1, `a="<1>"`), {}, placeAt(3, "")}}
	header := r.Header()
	if err := bus.CheckHeader(header); err != nil || len(header) != 1 {
		t.Fatalf("%v: %v", header, err)
	}
	got, err := queue.DecodeRecord(r.Append(nil)) // as workers of before read it, too
	if err != nil || got.Places != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	got.ReadHeader(header)
	if !slices.Equal(got.Places, r.Places) {
		t.Errorf("got %v, want %v", got.Places, r.Places)
	}
	part := got.Part(2, 3)
	if len(part.Jobs) != 1 || part.Place(0) != placeAt(3, "") || got.Place(1).Valid() || got.Place(7).Valid() {
		t.Errorf("got %v", part.Places)
	}
	r.Places = make([]trace.Place, 3)
	if h := r.Header(); h != nil {
		t.Errorf("without a place there is %v", h)
	}
}

func TestRecord_ABadHeaderIsNone(t *testing.T) {
	for _, bad := range []string{"", "no JSON", `["a"]`, `["a","b","c"]`, `{}`, `[1,2]`, strings.Repeat("x", 1<<20), `["00-x","` + placeAt(1, "").String() + `x"]`} {
		r := queue.Record{Jobs: make([]task.Value, 2)}
		r.ReadHeader(map[string]string{"Become-Places": bad})
		if r.Place(0).Valid() || r.Place(1).Valid() {
			t.Errorf("%.40q: got %v", bad, r.Places)
		}
	}
}

// Jobs with places go together as others do, as many as have room in a header.
func TestSubmitter_KeepsThePlaceOfEachJob(t *testing.T) {
	s := &shelf{gate: make(chan struct{})}
	submitter := queue.NewSubmitter(s, &bell{s: s}, "boss")
	defer submitter.Close()
	const jobs = 200
	var wg sync.WaitGroup
	var ids sync.Map
	for i := range jobs {
		wg.Go(func() {
			place := placeAt(byte(i+1), "")
			if i%8 == 0 {
				place.State = strings.Repeat("x", 500) + "=1"
			}
			ctx := t.Context()
			if i%3 != 0 {
				ctx = trace.Mark(ctx, "", place)
			} else {
				place = trace.Place{}
			}
			id, err := submitter.Submit(ctx, queue.Spec{Digest: "d", Function: "f", Format: engine.CBOR}, task.Value{Data: fmt.Append(nil, i)})
			if err != nil {
				t.Error(err)
			}
			ids.Store(id, place)
		})
	}
	close(s.gate)
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := 0
	for n, r := range s.puts {
		for i := range r.Jobs {
			want, ok := ids.Load(queue.ID{Seq: uint64(n + 1), Index: i})
			if !ok || r.Place(i) != want.(trace.Place) {
				t.Errorf("job %d.%d: got %v, want %v", n+1, i, r.Place(i), want)
			}
			seen++
		}
	}
	if seen != jobs {
		t.Errorf("%d jobs are there", seen)
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add(`["`+placeAt(1, "").String()+` a=1",""]`, 2)
	f.Fuzz(func(t *testing.T, text string, jobs int) {
		r := queue.Record{Jobs: make([]task.Value, max(0, min(jobs, 10)))}
		r.ReadHeader(map[string]string{"Become-Places": text})
		again := r
		again.ReadHeader(r.Header())
		for i := range r.Jobs {
			if r.Place(i) != again.Place(i) {
				t.Errorf("got %v, then %v", r.Places, again.Places)
			}
		}
	})
}
