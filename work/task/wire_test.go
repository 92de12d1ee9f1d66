package task_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

func pack(p task.Pack, values ...task.Value) []byte {
	p.Count = len(values)
	frame := task.AppendPack(nil, &p)
	for _, v := range values {
		frame = task.AppendValue(frame, v)
	}
	return frame
}

func TestPack_ComesBackAsItWas(t *testing.T) {
	values := []task.Value{{Data: []byte("one")}, {}, {Data: []byte("blob"), Ref: true}, {Data: make([]byte, 300)}}
	want := task.Pack{ID: math.MaxUint64, Function: "f", Format: engine.JSON, Timeout: 1500 * time.Millisecond, Origin: "boss"}
	p, err := task.DecodePack(pack(want, values...))
	if err != nil {
		t.Fatal(err)
	}
	rest := p.Values
	for i, want := range values {
		var v task.Value
		if v, rest = task.NextValue(rest); !bytes.Equal(v.Data, want.Data) || v.Ref != want.Ref {
			t.Errorf("value %d: got %v, want %v", i, v, want)
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	want.Count, want.Values = len(values), p.Values
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

func TestPack_TimeoutIsRoundedUp(t *testing.T) {
	for in, want := range map[time.Duration]time.Duration{0: 0, 1: time.Millisecond, time.Millisecond: time.Millisecond, time.Millisecond + 1: 2 * time.Millisecond} {
		p, err := task.DecodePack(pack(task.Pack{Format: engine.CBOR, Timeout: in}, task.Value{}))
		if err != nil || p.Timeout != want {
			t.Errorf("%v: got %v, %v; want %v", in, p.Timeout, err, want)
		}
	}
}

func TestPack_RefusesWhatIsNone(t *testing.T) {
	good := pack(task.Pack{ID: 7, Function: "f", Format: engine.CBOR}, task.Value{Data: []byte("x")})
	for i := range good {
		if _, err := task.DecodePack(good[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a pack", i, len(good))
		}
	}
	none := task.AppendPack(nil, &task.Pack{Format: engine.CBOR})
	many := task.AppendPack(nil, &task.Pack{Format: engine.CBOR, Count: task.MaxTasks + 1})
	huge := task.AppendPack(nil, &task.Pack{Format: engine.CBOR, Count: 1})
	huge = append(huge, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01) // a length of 2^63
	for name, frame := range map[string][]byte{
		"more bytes": append(bytes.Clone(good), 0), "no task": none, "too many tasks": append(many, make([]byte, task.MaxTasks+1)...),
		"a huge value": huge, "format": append([]byte{task.KindRun, 'x'}, good[2:]...), "kind": append([]byte{task.KindCancel}, good[1:]...),
	} {
		if _, err := task.DecodePack(frame); err == nil {
			t.Errorf("%s is taken for a pack", name)
		}
	}
}

func TestOutcome_ComesBackAsItWas(t *testing.T) {
	err := &fault.Error{Kind: fault.Busy, Op: "open", ID: "door", Hint: "knock", Stack: "main.go:1", Err: errors.New("shut")}
	all := []task.Outcome{
		{Status: task.OK, Value: []byte("v")},
		{Status: task.OK, Value: []byte{}},
		{Status: task.OKRef, Value: []byte("blob")},
		{Status: task.Failed, Err: err},
		{Status: task.Retry, After: 3 * time.Second, Err: err},
		{Status: task.GaveUp, Err: err},
	}
	var items []byte
	for _, o := range all {
		items = task.AppendOutcome(items, o)
	}
	head := task.Outcomes{Pack: 9, First: 2, Count: len(all), Final: true, Limit: 8, Nanos: 5}
	o, e := task.DecodeOutcomes(append(task.AppendOutcomes(nil, &head), items...))
	if head.Items = items; e != nil || !reflect.DeepEqual(o, head) {
		t.Fatalf("got %+v, %v", o, e)
	}
	rest := o.Items
	for i, want := range all {
		var got task.Outcome
		if got, rest, e = task.NextOutcome(rest); e != nil {
			t.Fatal(i, e)
		}
		if got.Status != want.Status || !bytes.Equal(got.Value, want.Value) || got.After != want.After || (got.Err == nil) != (want.Err == nil) {
			t.Errorf("%d: got %+v, want %+v", i, got, want)
		}
		if e, ok := errors.AsType[*fault.Error](got.Err); got.Err != nil && (!ok || e.Kind != err.Kind || e.Op != err.Op || e.ID != err.ID || e.Hint != err.Hint || e.Stack != err.Stack || e.Error() != err.Error()) {
			t.Errorf("%d: got %#v, want %#v", i, got.Err, err)
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	// A wish to be tried before now is one to be tried now.
	got, _, e := task.NextOutcome(task.AppendOutcome(nil, task.Outcome{Status: task.Retry, After: -time.Hour, Err: err}))
	if e != nil || got.After != 0 {
		t.Errorf("got %v, %v", got.After, e)
	}
}

func TestOutcomes_RefuseWhatIsNone(t *testing.T) {
	for name, o := range map[string]task.Outcomes{
		"beyond its limit":   {First: 3, Count: 2, Limit: 4},
		"a far first":        {First: task.MaxTasks + 1, Limit: task.MaxTasks + 1},
		"a far limit":        {Limit: task.MaxTasks + 1},
		"numbers that wrap":  {First: -1, Count: 2, Limit: 1},
		"a count that wraps": {First: 1, Count: -1, Limit: 1},
	} {
		if _, err := task.DecodeOutcomes(task.AppendOutcomes(nil, &o)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	// An outcome that failed says why.
	for _, b := range [][]byte{nil, {byte(task.Failed), 0}, {byte(task.Retry)}, {byte(task.GaveUp) + 1, 0}, {byte(task.OK), 5, 'x'}} {
		if _, _, err := task.NextOutcome(b); err == nil {
			t.Errorf("% x is taken for an outcome", b)
		}
	}
}

func TestSmallFrames_ComeBackAsTheyWere(t *testing.T) {
	if p, i, err := task.DecodeCancel(task.AppendCancel(nil, 1<<40, 77)); p != 1<<40 || i != 77 || err != nil {
		t.Error(p, i, err)
	}
	for _, frame := range [][]byte{task.AppendDemand(nil, 5), task.AppendCredit(nil, 5)} {
		if n, err := task.DecodeCount(frame); n != 5 || err != nil {
			t.Error(n, err)
		}
	}
	if n, err := task.DecodeCount(task.AppendDemand(nil, math.MaxInt)); n != 1_000_000 || err != nil {
		t.Errorf("a demand without measure is %d, %v", n, err)
	}
	if p, i, v, err := task.DecodeProgress(task.AppendProgress(nil, 3, 4, []byte("half"))); p != 3 || i != 4 || string(v) != "half" || err != nil {
		t.Error(p, i, v, err)
	}
	for _, frame := range [][]byte{nil, {task.KindCancel}, {task.KindCancel, 1}, task.AppendCancel(nil, 1, task.MaxTasks+1), task.AppendDemand(nil, 1)} {
		if _, _, err := task.DecodeCancel(frame); err == nil {
			t.Errorf("% x is taken for a cancel", frame)
		}
	}
	for _, frame := range [][]byte{nil, {task.KindProgress}, {task.KindProgress, 1}, task.AppendProgress(nil, 1, task.MaxTasks+1, nil)} {
		if _, _, _, err := task.DecodeProgress(frame); err == nil {
			t.Errorf("% x is taken for progress", frame)
		}
	}
	if _, err := task.DecodeCount(nil); err == nil {
		t.Error("nothing is taken for a count")
	}
}

// FuzzFrames feeds every decoder: none may panic, and what one accepts
// survives being written and read again.
func FuzzFrames(f *testing.F) {
	f.Add(pack(task.Pack{ID: 1, Function: "f", Format: engine.CBOR, Origin: "b"}, task.Value{Data: []byte("x")}, task.Value{Ref: true}))
	f.Add(task.AppendOutcome(task.AppendOutcomes(nil, &task.Outcomes{Pack: 1, Count: 1, Limit: 1}), task.Outcome{Status: task.Retry, Err: errors.New("x")}))
	f.Add(task.AppendAnswer(task.AppendOutcomes(nil, &task.Outcomes{Pack: 1, Count: 1, Limit: 1}), task.OK, []byte("x")))
	f.Add(task.AppendCancel(nil, 1, 2))
	f.Add(task.AppendDemand(nil, 1))
	f.Add(task.AppendProgress(nil, 1, 2, []byte("x")))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, frame []byte) {
		task.Kind(frame)
		if p, err := task.DecodePack(frame); err == nil {
			rest := p.Values
			var values []byte
			for range p.Count {
				var v task.Value
				v, rest = task.NextValue(rest)
				values = task.AppendValue(values, v)
			}
			again, err := task.DecodePack(append(task.AppendPack(nil, &p), values...))
			again.Values, p.Values = nil, nil
			if err != nil || len(rest) != 0 || !reflect.DeepEqual(p, again) {
				t.Errorf("got %+v, %v; want %+v", again, err, p)
			}
		}
		if o, err := task.DecodeOutcomes(frame); err == nil {
			if o.First+o.Count > o.Limit || o.Limit > task.MaxTasks || o.First < 0 || o.Count < 0 {
				t.Errorf("accepted %+v", o)
			}
			rest := o.Items
			for range o.Count {
				out, r, err := task.NextOutcome(rest)
				if err != nil {
					break
				}
				if bad := out.Status != task.OK && out.Status != task.OKRef; bad != (out.Err != nil) || out.After < 0 {
					t.Errorf("accepted %+v", out)
				}
				rest = r
			}
		}
		if _, i, err := task.DecodeCancel(frame); err == nil && (i < 0 || i > task.MaxTasks) {
			t.Errorf("index %d", i)
		}
		if _, i, _, err := task.DecodeProgress(frame); err == nil && (i < 0 || i > task.MaxTasks) {
			t.Errorf("index %d", i)
		}
		if n, err := task.DecodeCount(frame); err == nil && (n < 0 || n > 1_000_000) {
			t.Errorf("count %d", n)
		}
		(&task.Fields{Rest: frame}).Value()
	})
}
