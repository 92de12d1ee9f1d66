package result_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

func record(outcomes ...task.Outcome) *result.Record {
	return &result.Record{Function: "f", Format: engine.JSON, Worker: "w", Node: "n", PID: 42, Attempt: 3, Outcomes: outcomes}
}

var good = task.Outcome{Status: task.OK, Value: []byte("v")}

func TestRecord_ComesBackAsItWas(t *testing.T) {
	first := queue.ID{Seq: 7, Index: 5}
	r := record(good, task.Outcome{Status: task.OKRef, Value: []byte("blob")}, task.Outcome{Status: task.GaveUp, Err: fault.Text(fault.Busy, "open", "door", "shut")})
	got, err := result.Decode(result.Subject("d", "b", first), r.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.First != first || got.Digest != "d" || got.Boss != "b" || got.Function != "f" || got.Format != engine.JSON || got.Worker != "w" || got.Node != "n" || got.PID != 42 || got.Attempt != 3 || len(got.Outcomes) != 3 {
		t.Errorf("got %+v", got)
	}
	if o := got.Outcomes[1]; o.Status != task.OKRef || string(o.Value) != "blob" {
		t.Errorf("got %+v", o)
	}
	if err := got.Outcomes[2].Err; fault.KindOf(err) != fault.Busy || err.Error() != "cannot open door: shut" {
		t.Errorf("got %v", err)
	}
}

func TestDecode_RefusesWhatIsNone(t *testing.T) {
	subject := result.Subject("d", "b", queue.ID{Seq: 1})
	data := record(good, good).Append(nil)
	for i := range data {
		if _, err := result.Decode(subject, data[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a result", i, len(data))
		}
	}
	if _, err := result.Decode(subject, append(bytes.Clone(data), 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	if _, err := result.Decode(subject, record().Append(nil)); err == nil {
		t.Error("a result of nothing is accepted")
	}
	for _, subject := range []string{"", "a.b.c.1", "a.b.c.1.2.3", "a.b.c.x.1", "a.b.c.1.x", "a.b.c.-1.1", "a.b.c.1.-1"} {
		if _, err := result.Decode(subject, data); err == nil {
			t.Errorf("the subject %q is accepted", subject)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("l.d.b.1.2", record(good).Append(nil))
	f.Add("l.d.b.1.2", record(task.Outcome{Status: task.Failed, Err: errors.New("x")}).Append(nil))
	f.Add("l.d.b.18446744073709551615.2147483647", []byte{1, 'c', 0, 0, 0, 0, 0, 1, 0})
	f.Add(".....", append([]byte{1, 'c'}, bytes.Repeat([]byte{0xff}, 60)...))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		r, err := result.Decode(subject, data)
		if err != nil {
			return
		}
		if len(r.Outcomes) == 0 || len(r.Outcomes) > len(data) || r.PID < 0 || r.Attempt < 0 || r.First.Index < 0 {
			t.Errorf("accepted %+v", r)
		}
		again, err := result.Decode(subject, r.Append(nil))
		if err != nil || len(again.Outcomes) != len(r.Outcomes) || again.First != r.First || again.PID != r.PID {
			t.Errorf("got %+v, %v; want %+v", again, err, r)
		}
	})
}

func TestFind_ReturnsTheFirstResultKept(t *testing.T) {
	ctx := t.Context()
	b := mem.New().Connect()
	defer b.Close()
	log, err := b.Log(ctx, bus.Spec{Name: roster.LogResults})
	if err != nil {
		t.Fatal(err)
	}
	keep := func(first queue.ID, outcomes ...task.Outcome) {
		t.Helper()
		if _, err := log.Append(ctx, result.Subject("d", "b", first), record(outcomes...).Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	value := func(s string) task.Outcome { return task.Outcome{Status: task.OK, Value: []byte(s)} }
	if _, _, err := result.Find(ctx, log, queue.ID{Seq: 1}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("in an empty log: %v, want not found", err)
	}
	log.Append(ctx, result.Subject("d", "b", queue.ID{Seq: 1}), []byte("damaged"))
	keep(queue.ID{Seq: 1, Index: 3}, value("1.3"), value("1.4"))
	keep(queue.ID{Seq: 11, Index: 0}, value("11.0")) // not to be taken for 1
	for i := 100; i < 250; i++ {                     // more than one page
		keep(queue.ID{Seq: 1, Index: i}, value(fmt.Sprint("1.", i)))
	}
	keep(queue.ID{Seq: 1, Index: 3}, value("again"))
	for _, id := range []queue.ID{{Seq: 1, Index: 3}, {Seq: 1, Index: 4}, {Seq: 1, Index: 100}, {Seq: 1, Index: 249}, {Seq: 11}} {
		r, o, err := result.Find(ctx, log, id)
		if err != nil || string(o.Value) != id.String() || r.Time.IsZero() {
			t.Errorf("%v: got %q, %v", id, o.Value, err)
		}
	}
	for _, id := range []queue.ID{{Seq: 1}, {Seq: 1, Index: 5}, {Seq: 1, Index: 250}, {Seq: 2}, {Seq: 11, Index: 1}} {
		if _, _, err := result.Find(ctx, log, id); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%v: %v, want not found", id, err)
		}
	}
	over, stop := context.WithCancel(ctx)
	stop()
	result.Find(over, log, queue.ID{Seq: 1}) // may succeed or not, but ends
}
