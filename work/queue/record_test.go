package queue_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/task"
)

func TestID_TextAndBack(t *testing.T) {
	for _, id := range []queue.ID{{Seq: 1}, {Seq: 48213, Index: 7}, {Seq: math.MaxUint64, Index: math.MaxInt32}} {
		if got, err := queue.ParseID(id.String()); got != id || err != nil {
			t.Errorf("%v: got %v, %v", id, got, err)
		}
	}
	for _, s := range []string{"", ".", "1", "1.", ".1", "0.1", "-1.1", "1.-1", "1.1.1", "a.b", " 1.1", "1.1 ", "+1.1", "18446744073709551616.0", "1.2147483648"} {
		if id, err := queue.ParseID(s); err == nil {
			t.Errorf("%q is taken for the id %v", s, id)
		}
	}
}

func TestSubject_TextAndBack(t *testing.T) {
	digest, class, function, ok := queue.ParseSubject(queue.Subject("d1", queue.Solo, "f"))
	if !ok || digest != "d1" || class != queue.Solo || function != "f" {
		t.Error(digest, class, function, ok)
	}
	for _, s := range []string{"", "a.b.c.d", queue.Filter("d", queue.Normal) + ".x", queue.Subject("d", queue.Normal, "a.b")} {
		if _, _, _, ok := queue.ParseSubject(s); ok {
			t.Errorf("%q is taken for a job's subject", s)
		}
	}
}

func full() queue.Record {
	return queue.Record{
		Function: "f", Format: engine.JSON, Boss: "b", Timeout: 90 * time.Second, Tries: 5, NotBefore: time.UnixMilli(1_700_000_000_123),
		Attempt: 2, Deaths: 1, Origin: queue.ID{Seq: 9, Index: 4}, Jobs: []task.Value{{Data: []byte("one")}, {Data: []byte("blob"), Ref: true}},
	}
}

func TestRecord_ComesBackAsItWas(t *testing.T) {
	for _, want := range []queue.Record{full(), {Function: "g", Format: engine.CBOR, Jobs: []task.Value{{Data: []byte{}}}}} {
		got, err := queue.DecodeRecord(want.Append(nil))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	r := full()
	if id := r.ID(100, 1); id != (queue.ID{Seq: 9, Index: 5}) {
		t.Errorf("a repeated job is %v", id)
	}
	r.Origin = queue.ID{}
	if id := r.ID(100, 1); id != (queue.ID{Seq: 100, Index: 1}) {
		t.Errorf("a first job is %v", id)
	}
}

// A timeout below a millisecond must not become none at all.
func TestRecord_TimeoutIsRoundedUp(t *testing.T) {
	r := full()
	for in, want := range map[time.Duration]time.Duration{0: 0, 1: time.Millisecond, time.Second + 1: time.Second + time.Millisecond} {
		r.Timeout = in
		if got, err := queue.DecodeRecord(r.Append(nil)); err != nil || got.Timeout != want {
			t.Errorf("%v: got %v, %v; want %v", in, got.Timeout, err, want)
		}
	}
}

func TestRecord_RefusesWhatIsNone(t *testing.T) {
	r := full()
	good := r.Append(nil)
	for i := range good {
		if _, err := queue.DecodeRecord(good[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a record", i, len(good))
		}
	}
	if _, err := queue.DecodeRecord(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	r.Jobs = nil
	if _, err := queue.DecodeRecord(r.Append(nil)); err == nil {
		t.Error("a record without jobs is accepted")
	}
	r.Jobs = make([]task.Value, task.MaxTasks+1)
	if _, err := queue.DecodeRecord(r.Append(nil)); err == nil {
		t.Error("a record of too many jobs is accepted")
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := full()
	f.Add(r.Append(nil))
	f.Add([]byte{1, 'c'})
	f.Add([]byte{1, 'j', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add(append([]byte{1, 'c'}, bytes.Repeat([]byte{0xff}, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := queue.DecodeRecord(b)
		if err != nil {
			return
		}
		if len(r.Jobs) == 0 || len(r.Jobs) > len(b) || r.Timeout < 0 || r.Tries < 0 || r.Attempt < 0 || r.Deaths < 0 || r.Origin.Index < 0 {
			t.Errorf("accepted %+v", r)
		}
		again, err := queue.DecodeRecord(r.Append(nil))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("got %+v, %v; want %+v", again, err, r)
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"1.1", "0.0", "48213.7", "1", "a.b", "99999999999999999999.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := queue.ParseID(s)
		if err != nil {
			return
		}
		if again, err := queue.ParseID(id.String()); again != id || err != nil || id.Seq == 0 || id.Index < 0 {
			t.Errorf("%q is %v, and then %v, %v", s, id, again, err)
		}
	})
}
