package frame_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/frame"
)

type Point struct {
	X    float64 `default:"7"`
	Name string
	Data []byte
	All  map[int]string
}

func typeOf[T any](t testing.TB) *message.Type {
	t.Helper()
	typ, err := message.Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

var formats = []frame.Format{frame.JSON, frame.CBOR}

func TestFormats_ReadWhatTheyWrite(t *testing.T) {
	point := typeOf[Point](t)
	want := Point{1.5, "é", []byte{0, 255}, map[int]string{-1: "x"}}
	for _, f := range formats {
		b, err := f.AppendRequest([]byte("before"), frame.Request{ID: 1 << 53, Name: "Move"}, point, reflect.ValueOf(want))
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.ReadRequest(b[len("before"):])
		if err != nil || r.ID != 1<<53 || r.Name != "Move" {
			t.Errorf("%s: got %v, %v", f.Protocol(), r, err)
		}
		var got Point
		if err := r.Value.Decode(point, reflect.ValueOf(&got).Elem()); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, %v", f.Protocol(), got, err)
		}
		for _, id := range []uint64{0, 3} {
			if b, err = f.AppendReply(nil, id, "api.Point", point, reflect.ValueOf(want)); err != nil {
				t.Fatal(err)
			}
			a, err := f.ReadAnswer(b)
			got = Point{}
			if err == nil {
				err = a.Value.Clone().Decode(point, reflect.ValueOf(&got).Elem())
			}
			if err != nil || a.ID != id || a.Name != "api.Point" || a.Problem != nil || !cmp.Equal(got, want) {
				t.Errorf("%s: got %v %v, %v", f.Protocol(), a, got, err)
			}
		}
	}
}

func TestFormats_Problems(t *testing.T) {
	p := problem.Of(message.Problems{{Path: "items[3]", Text: "must be \xff at least 1", Rule: true}})
	p.Title, p.Hint = "Oh", "think"
	for _, f := range formats {
		b, err := f.AppendProblem(nil, 5, p)
		if err != nil {
			t.Fatal(err)
		}
		a, err := f.ReadAnswer(b)
		if err != nil || a.ID != 5 {
			t.Fatalf("%s: %v, %v", f.Protocol(), a, err)
		}
		want := &problem.Problem{
			Title: "Oh", Status: 422, Kind: "invalid", Hint: "think", Detail: "items[3]: must be \ufffd at least 1",
			Errors: message.Problems{{Path: "items[3]", Text: "must be \ufffd at least 1"}},
		}
		if diff := cmp.Diff(want, a.Problem); diff != "" {
			t.Errorf("%s: %s", f.Protocol(), diff)
		}
	}
}

func TestRequest_MayLeaveOutItsIDAndValue(t *testing.T) {
	for f, text := range map[frame.Format]string{frame.JSON: `{"request":"Move"}`, frame.CBOR: "\xa1\x67request\x64Move"} {
		r, err := f.ReadRequest([]byte(text))
		var got Point
		if err == nil {
			err = r.Value.Decode(typeOf[Point](t), reflect.ValueOf(&got).Elem())
		}
		if err != nil || r.ID != 0 || got.X != 7 {
			t.Errorf("%s: got %v, %v", f.Protocol(), got, err)
		}
	}
}

func TestValue_UnknownFieldsOfANewerServer(t *testing.T) {
	point := typeOf[Point](t)
	for f, data := range map[frame.Format]string{
		frame.JSON: `{"id":1,"value":["api.Point",{"x":2,"more":[1]},[]]}`,
		frame.CBOR: "\xa1\x65value\x83\x61p\xa2\x61x\x02\x64more\x81\x01\x80",
	} {
		a, err := f.ReadAnswer([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		var got Point
		if err := a.Value.Restore(point, reflect.ValueOf(&got).Elem()); err != nil || got.X != 2 {
			t.Errorf("%s: got %v, %v", f.Protocol(), got, err)
		}
		if err := a.Value.Decode(point, reflect.ValueOf(&got).Elem()); err == nil {
			t.Errorf("%s: an unknown field is no error", f.Protocol())
		}
	}
}

// bad are frames that are none: what they are, and whether they are broken.
var bad = []struct {
	format frame.Format
	data   string
	want   string
	broken bool
}{
	{frame.JSON, ``, "", true},
	{frame.JSON, `{"id":1`, "", true},
	{frame.JSON, `{"id":1}}`, "", true},
	{frame.JSON, `{"id":1,"id":2}`, "", true},
	{frame.JSON, "{\"request\":\"\xff\"}", "", true},
	{frame.JSON, "\x00\x01\x02", "", true},
	{frame.JSON, strings.Repeat("[", 20_000), "", true},
	{frame.JSON, `[1]`, "a request is an object", false},
	{frame.JSON, `{"id":1}`, "request: it is required", false},
	{frame.JSON, `{"id":0,"request":"X"}`, "id: must be a whole number from 1 on", false},
	{frame.JSON, `{"id":-1,"request":"X"}`, "id: must be", false},
	{frame.JSON, `{"id":1.5,"request":"X"}`, "id: must be", false},
	{frame.JSON, `{"id":"a","request":5}`, "request: must be a text", false},
	{frame.JSON, `{"request":"X","ID":1}`, "ID: there is no such field", false},
	{frame.CBOR, "", "", true},
	{frame.CBOR, "{}", "", true},
	{frame.CBOR, "\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "", true},
	{frame.CBOR, "\x9b\x00\x00\x00\x00\x07\xff\xff\xff", "", true},
	{frame.CBOR, strings.Repeat("\x81", 20_000), "", true},
	{frame.CBOR, "\x80", "a request is an object", false},
	{frame.CBOR, "\xa1\x62id\x20", "id: must be", false},
	{frame.CBOR, "\xa1\x67request\x01", "request: must be a text", false},
}

func TestReadRequest_SaysWhatIsWrong(t *testing.T) {
	for _, one := range bad {
		_, err := one.format.ReadRequest([]byte(one.data))
		if err == nil || errors.Is(err, frame.ErrBroken) != one.broken || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s %.40q: got %v", one.format.Protocol(), one.data, err)
		}
	}
}

func TestReadAnswer_SaysWhatIsWrong(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `{"id":0,"value":["x",{},[]]}`, `{"value":["x"]}`, `{"value":[1,{}]}`, `{"value":{}}`, `{"error":1}`, `{"value":[`, `x`} {
		if a, err := frame.JSON.ReadAnswer([]byte(text)); err == nil {
			t.Errorf("%s: got %v", text, a)
		}
	}
	for _, text := range []string{"a0", "80", "a1627881", "a16576616c756581", "a1656572726f7201", "a2626964006576616c7565816178", "a16576616c7565820102"} {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := frame.CBOR.ReadAnswer(data); err == nil {
			t.Errorf("%s: got %v", text, a)
		}
	}
}

// FuzzRead reads anything as both kinds of frames; what is read can be decoded or is refused.
func FuzzRead(f *testing.F) {
	for _, one := range bad {
		f.Add(one.format.Binary(), []byte(one.data))
	}
	f.Add(false, []byte(`{"id":1,"request":"Move","value":{"x":1.5}}`))
	f.Add(false, []byte(`{"id":1,"value":["p",{"x":1},[]]}`))
	f.Add(false, []byte(`{"error":{"status":404,"errors":[{"path":"x","text":"y"}]}}`))
	f.Add(true, []byte("\xa1\x65value\x83\x61p\xa2\x61x\x02\x64more\x81\x01\x80"))
	point := typeOf[Point](f)
	f.Fuzz(func(t *testing.T, binary bool, data []byte) {
		format := frame.JSON
		if binary {
			format = frame.CBOR
		}
		var p Point
		if r, err := format.ReadRequest(data); err == nil {
			if err := r.Value.Decode(point, reflect.ValueOf(&p).Elem()); err == nil {
				if _, err := format.AppendRequest(nil, r, point, reflect.ValueOf(p)); err != nil {
					t.Errorf("what was read cannot be written: %v", err)
				}
			}
		}
		if a, err := format.ReadAnswer(data); err == nil && a.Problem == nil {
			a.Value.Restore(point, reflect.ValueOf(&p).Elem())
		} else if err == nil {
			if _, err := format.AppendProblem(nil, a.ID, a.Problem); err != nil {
				t.Error(err)
			}
		}
	})
}
