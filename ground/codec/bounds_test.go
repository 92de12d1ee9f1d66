package codec_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/universal-server/become/ground/codec"
)

type chain struct {
	Next *chain         `json:"next,omitempty"`
	Any  any            `json:"any,omitempty"`
	Kids []chain        `json:"kids,omitempty"`
	Map  map[string]any `json:"map,omitempty"`
}

func TestEncode_RefusesWhatContainsItself(t *testing.T) {
	ring := &chain{}
	ring.Next = ring
	hidden := &chain{}
	hidden.Any = []any{map[string]any{"x": hidden}}
	self := map[string]any{}
	self["self"] = self
	type loop *loop
	var pointer loop
	pointer = &pointer
	list := []any{nil}
	list[0] = list
	for name, v := range map[string]any{"ring": ring, "through any": hidden, "map": self, "slice": list, "pointer": pointer, "in a field": chain{Map: self}} {
		if b, err := codec.From([]byte("x"), v); err == nil || string(b) != "x" {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if _, err := codec.CBOR[*chain]().Append(nil, ring); err == nil {
		t.Error("a typed ring was encoded")
	}
	if _, err := codec.CBOR[any]().Append(nil, self); err == nil {
		t.Error("a map in itself was encoded")
	}
	// The same thing twice is no ring.
	shared := &chain{Any: "s"}
	if _, err := codec.From(nil, []*chain{shared, shared}); err != nil {
		t.Error(err)
	}
}

func TestNesting_IsBoundedOnBothSides(t *testing.T) {
	nest := func(n int) *chain {
		c := &chain{}
		for range n {
			c = &chain{Next: c}
		}
		return c
	}
	for _, n := range []int{0, 1, 100, 250, 254, 255, 256, 257, 260} { // what can be sent can be received
		b, err := codec.From(nil, nest(n))
		if err != nil {
			if n < 250 {
				t.Errorf("%d deep: %v", n, err)
			}
			continue
		}
		var got *chain
		if err := codec.Into(b, &got); err != nil || cmp.Diff(nest(n), got) != "" {
			t.Errorf("%d deep: %v", n, err)
		}
	}
	if _, err := codec.From(nil, nest(100_000)); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("100,000 deep: %v", err)
	}
	for name, b := range map[string][]byte{
		"arrays": append(bytes.Repeat([]byte{0x81}, 100_000), 0), "maps": append(bytes.Repeat([]byte{0xa1, 0x61, 'x'}, 100_000), 0),
		"tags": append(bytes.Repeat([]byte{0xc1}, 100_000), 0), "open arrays": bytes.Repeat([]byte{0x9f}, 100_000),
	} {
		var v any
		if err := codec.Into(b, &v); err == nil {
			t.Errorf("%s: decoded", name)
		}
		if _, err := codec.CBOR[struct{}]().Decode(b); err == nil {
			t.Errorf("%s: accepted as nothing", name)
		}
	}
	if _, err := codec.JSON[any]().Decode(bytes.Repeat([]byte("["), 1_000_000)); err == nil {
		t.Error("JSON a million deep was decoded")
	}
}

// Memory grows with what is there, not with what is announced.
func TestDecode_TakesMemoryForWhatIsThere(t *testing.T) {
	announce := [][]byte{
		{0x9b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1}, {0xbb, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 1}, // 2³¹ items
		{0x5b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1}, {0x7b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 'x'}, // bytes, text
		{0x9a, 0x7f, 0xff, 0xff, 0xff}, {0xc2, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		for _, b := range announce {
			for _, decode := range []func([]byte) error{
				func(b []byte) error { var v any; return codec.Into(b, &v) },
				func(b []byte) error { var v []int64; return codec.Into(b, &v) },
				func(b []byte) error { var v map[string]int; return codec.Into(b, &v) },
				func(b []byte) error { var v []byte; return codec.Into(b, &v) },
				func(b []byte) error { _, err := codec.CBOR[string]().Decode(b); return err },
			} {
				if err := decode(b); err == nil {
					t.Errorf("%x was decoded", b)
				}
			}
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d MiB for nothing", took>>20)
	}
}

func TestDecode_KeepsNothingOfItsInput(t *testing.T) {
	type all struct {
		B []byte
		S string
		A any
		J json.RawMessage
		M map[string][]byte
	}
	want := all{B: []byte("bytes"), S: "text", A: []byte("any"), M: map[string][]byte{"k": []byte("v")}}
	b, err := codec.From(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got all
	if err := codec.Into(b, &got); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecode_RefusesAKeyTwice(t *testing.T) {
	twice := []byte("\xa2\x61x\x01\x61x\x02")
	var m map[string]int
	if err := codec.Into(twice, &m); err == nil {
		t.Errorf("decoded %v", m)
	}
}

// FuzzInto: what is decoded and can be sent again comes back the same.
func FuzzInto(f *testing.F) {
	seed, _ := codec.From(nil, chain{Next: &chain{Any: []any{1, "x", nil, 1.5}}, Map: map[string]any{"k": true}})
	f.Add(seed)
	f.Add([]byte("\x9f\x01\x82\x02\xf6\xff"))
	f.Add([]byte("\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{new(any), new(chain), new([]string), new(map[string]any), new(float64), new([]byte)} {
			if codec.Into(b, v) != nil {
				continue
			}
			// A number may take another form the first time: a small bignum is an int.
			second := travel(t, v)
			if second == nil {
				continue
			}
			third := travel(t, second)
			if third == nil || !cmp.Equal(second, third, cmpopts.EquateNaNs(), cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })) {
				t.Fatalf("%x: %#v came back as %#v", b, second, third)
			}
		}
	})
}

// travel encodes what v points to, and returns a pointer to what arrives; nil
// when it cannot be sent, as what is nested too deep.
func travel(t *testing.T, v any) any {
	t.Helper()
	b, err := codec.From(nil, reflect.ValueOf(v).Elem().Interface())
	if err != nil {
		return nil
	}
	again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
	if err := codec.Into(b, again); err != nil {
		t.Fatalf("%#v was encoded as %x: %v", v, b, err)
	}
	return again
}
