package message

import (
	"math/big"
	"reflect"
	"strings"
	"testing"
)

func TestParseJSON_MakesTrees(t *testing.T) {
	long, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	for text, want := range map[string]any{
		`null`: nil, `true`: true, `"ä"`: "ä", `3`: int64(3), `-3`: int64(-3), `3.0`: 3.0, `1e3`: 1000.0,
		`18446744073709551615`: uint64(1<<64 - 1), `-123456789012345678901234567890`: long,
		`[]`: []any{}, `[1,"a",null]`: []any{int64(1), "a", nil}, `{}`: Object{},
		` {"b":1,"a":{"c":[]}} `: Object{{"b", int64(1)}, {"a", Object{{"c", []any{}}}}},
	} {
		got, err := ParseJSON([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		``: "not JSON", `{`: "not JSON", `[1`: "not JSON", `{"a":x}`: "a: not JSON", `[1] 2`: "something follows", `[0,1e999]`: "[1]: 1e999 is out of range",
		strings.Repeat("[", 102) + strings.Repeat("]", 102): "100 levels", `{"a":1,"a":2}`: "not JSON", strings.Repeat("9", 10_001): "at most 10000 digits",
	} {
		if got, err := ParseJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, %v", text, got, err)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `[`, `1e5`, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := ParseJSON(data)
		if err != nil {
			return
		}
		b, err := appendTree(nil, tree, 0)
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", data, err)
		}
		again, err := ParseJSON(b)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", data, b, err)
		}
		if c, err := appendTree(nil, again, 0); err != nil || string(c) != string(b) { // a float may have become whole
			t.Fatalf("%q was written as %q, then as %q, %v", data, b, c, err)
		}
	})
}
