package js_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

func TestInvoke_Values(t *testing.T) {
	for _, test := range []struct{ source, input, want string }{
		{`n => n * n`, `12`, `144`},
		{`n => n`, `-0.5`, `-0.5`},
		{`n => n + 0.5`, `0.5`, `1`},
		{`n => n`, `9007199254740991`, `9007199254740991`},
		{`n => n + 1n`, `9007199254740993`, `9007199254740994`},
		{`n => typeof n`, `1e3`, `"number"`},
		{`n => typeof n`, `123456789012345678901234567890`, `"bigint"`},
		{`n => n * 10n`, `-123456789012345678901234567890`, `-1234567890123456789012345678900`},
		{`n => n`, `1e300`, `1e+300`},
		{`s => s`, `"a\u0000\"\\é😀\n\u2028"`, "\"a\\u0000\\\"\\\\é😀\\n\u2028\""},
		{`s => s.length`, `"😀"`, `2`},
		{`() => "a\ud800b"`, ``, "\"a\uFFFDb\""},
		{`b => !b`, `true`, `false`},
		{`x => x`, `null`, `null`},
		{`x => undefined`, `1`, `null`},
		{`x => x`, `{"b":1,"a":[1,{"c":null}],"__proto__":{"x":1}}`, `{"b":1,"a":[1,{"c":null}],"__proto__":{"x":1}}`},
		{`x => x.polluted`, `{"__proto__":{"polluted":1}}`, `null`},
		{`() => ({a: undefined, b: [undefined, , 1]})`, ``, `{"b":[null,null,1]}`},
		{`() => new Uint8Array([1, 2, 255])`, ``, `"AQL/"`},
		{`() => new Uint8Array([1, 2, 255]).buffer`, ``, `"AQL/"`},
		{`() => new DataView(new Uint8Array([1, 2, 255]).buffer, 1)`, ``, `"Av8="`},
		{`() => new Float64Array([1.5, 2])`, ``, `[1.5,2]`},
		{`() => new BigInt64Array([1n, -2n])`, ``, `[1,-2]`},
		{`() => new Date(1700000000123)`, ``, `"2023-11-14T22:13:20.123Z"`},
		{`() => new Map([["a", 1], [2, new Set([3])], [true, 4]])`, ``, `{"a":1,"2":[3],"true":4}`},
		{`() => new (class P { constructor() { this.x = 1 } get y() { return 2 } })`, ``, `{"x":1}`},
		{`() => ({ toJSON() { return [1] } })`, ``, `[1]`},
		{`() => new TypeError("no")`, ``, `{"name":"TypeError","message":"no"}`},
		{`() => [new Number(1), new String("a"), new Boolean(false), Object(5n)]`, ``, `[1,"a",false,5]`},
		{`() => new Proxy([1, 2], {})`, ``, `[1,2]`},
		{`() => new Proxy({a: 1}, {})`, ``, `{"a":1}`},
		{`() => { const a = {}; return [a, a] }`, ``, `[{},{}]`},
		// arguments
		{`(a, b) => a - b`, `[5,3]`, `2`},
		{`(list) => list.length`, `[5,3]`, `2`},
		{`(...all) => all.length`, `[5,3,1]`, `3`},
		{`(a = 7) => a`, `null`, `7`},
		{`(a = 7) => a`, ``, `7`},
		{`function() { return arguments.length }`, `null`, `0`},
		{`function(a) { return arguments.length }`, ``, `0`},
		{`function(a) { return a === null }`, `null`, `true`},
		{`(a, b) => a`, `7`, `7`},
	} {
		t.Run(test.source, func(t *testing.T) {
			got, err := invoke(t, "exports.f = "+test.source, test.input)
			if err != nil || got != test.want {
				t.Errorf("f(%s): got %s, %v, want %s", test.input, got, err, test.want)
			}
		})
	}
}

func TestInvoke_CBORRoundTrip(t *testing.T) {
	big1, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	when := time.Date(2024, 2, 29, 12, 0, 0, 250e6, time.UTC)
	for _, test := range []struct {
		kind     string
		in, want any
	}{
		{"number", 0, uint64(0)},
		{"number", -1, int64(-1)},
		{"number", 23, uint64(23)},
		{"number", 24, uint64(24)},
		{"number", 1 << 40, uint64(1 << 40)},
		{"number", -(1<<53 - 1), int64(-(1<<53 - 1))},
		{"bigint", int64(1 << 53), uint64(1 << 53)},
		{"bigint", int64(math.MinInt64), int64(math.MinInt64)},
		{"bigint", uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{"bigint", *big1, *big1},
		{"number", 1.5, 1.5},
		{"number", float32(0.25), 0.25},
		{"number", 3.0, uint64(3)},
		{"number", math.Inf(-1), math.Inf(-1)},
		{"number", math.Copysign(0, -1), math.Copysign(0, -1)},
		{"string", "é😀", "é😀"},
		{"boolean", true, true},
		{"object", nil, nil},
		{"Uint8Array", []byte{1, 2, 3}, []byte{1, 2, 3}},
		{"Uint8Array", []byte{}, []byte{}},
		{"Array", []any{1, "a", []any{}}, []any{uint64(1), "a", []any{}}},
		{"Object", map[string]int{"a": 1}, map[any]any{"a": uint64(1)}},
		{"Object", map[string]int{}, map[any]any{}},
		{"Map", map[int]string{7: "x"}, map[any]any{uint64(7): "x"}},
		{"Date", when, when},
	} {
		t.Run(fmt.Sprintf("%T %v", test.in, test.in), func(t *testing.T) {
			f := lookup(t, open(t, `exports.f = x => [x === null ? "object" : typeof x === "object" ? x.constructor.name : typeof x, x]`, nil), "f")
			enc, _ := cbor.EncOptions{Time: cbor.TimeRFC3339Nano, TimeTag: cbor.EncTagRequired}.EncMode()
			in, err := enc.Marshal(test.in)
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.Invoke(t.Context(), engine.CBOR, in, []byte("kept"))
			if err != nil {
				t.Fatal(err)
			}
			rest, kept := bytes.CutPrefix(out, []byte("kept"))
			var got []any
			if err := cbor.Unmarshal(rest, &got); err != nil || !kept {
				t.Fatalf("%x: %v", rest, err)
			}
			same := cmp.Comparer(func(a, b big.Int) bool { return a.Cmp(&b) == 0 })
			if diff := cmp.Diff([]any{test.kind, test.want}, got, same); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInvoke_CBORForms(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"f93c00", `1`},                    // half
		{"f90001", `5.960464477539063e-8`}, // smallest half
		{"f97e00", `"NaN"`},
		{"5f41014102ff", `"bytes:1,2"`},
		{"7f61616162ff", `"ab"`},
		{"9f01829f02ffff", ""},
		{"9f0102ff", `[1,2]`},
		{"bf616101ff", `{"a":1}`},
		{"f7", `"undefined"`},
		{"d9d9f701", `1`}, // self-described
		{"c249010000000000000000", `18446744073709551616`},
		{"c349010000000000000000", `-18446744073709551617`},
		{"c11a514b67b0", `"2013-03-21T20:04:00.000Z"`},
		{"c1fb41d452d9ec200000", `"2013-03-21T20:04:00.500Z"`},
		// refused
		{"ff", ""}, {"18", ""}, {"1c", ""}, {"1f", ""}, {"61ff", ""}, {"9bffffffffffffffff", ""},
		{"bb7fffffffffffffff00", ""}, {"5bffffffffffffffff00", ""}, {"7f01ff", ""}, {"a101", ""}, {"9bffffffffffffffff01ff", ""}, {"bbffffffffffffffff0101ff", ""},
		{"0101", ""}, {"f800", ""}, {"c0613f", ""}, {"c240", `0`}, {"c201", ""}, {"df01", ""}, {"9f", ""}, {"5f", ""},
		{strings.Repeat("81", 300) + "01", ""},
	} {
		in, err := hex.DecodeString(test.in)
		if err != nil {
			t.Fatal(err)
		}
		f := lookup(t, open(t, `exports.f = function(...a) {
			const x = a[0];
			if (x !== x) return "NaN"; 
			if (x instanceof Uint8Array) return "bytes:" + x;
			return a.length > 1 ? a : a.length ? x : "undefined" }`, nil), "f")
		out, err := f.Invoke(t.Context(), engine.CBOR, in, nil)
		if test.want == "" {
			if fault.KindOf(err) != fault.Invalid || err == nil {
				t.Errorf("%.40s: got %x, %v, want invalid", test.in, out, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.in, err)
			continue
		}
		if got := asJSON(t, out); got != test.want {
			t.Errorf("%s: got %s, want %s", test.in, got, test.want)
		}
	}
}

// asJSON lets a script say what a CBOR value is.
func asJSON(t *testing.T, b []byte) string {
	f := lookup(t, open(t, `exports.f = v => JSON.stringify(v, (k, x) => typeof x === "bigint" ? "big" + x : x).replace(/"big(-?\d+)"/g, "$1")`, nil), "f")
	out, err := f.Invoke(t.Context(), engine.CBOR, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := cbor.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInvoke_RefusesWhatHasNoForm(t *testing.T) {
	for source, want := range map[string]string{
		`() => ({a: [1, {b() {}}]})`:                       "cannot send answer.a[1].b: a function has no value form",
		`() => Symbol("x")`:                                "cannot send answer: a symbol has no value form",
		`() => { const a = {}; a.b = [a]; return a }`:      "cannot send answer.b[0]: it contains itself; a cycle has no value form",
		`() => new Map([["k", () => 1]])`:                  "cannot send answer[k]: a function has no value form",
		`() => new Map([[{}, 1]])`:                         "cannot send answer: a Map with a key that is no text, number or boolean has no value form",
		`() => NaN`:                                        "cannot send answer: NaN and Infinity have no form in JSON",
		`() => [-Infinity]`:                                "cannot send answer[0]: NaN and Infinity have no form in JSON",
		`() => new Date(NaN)`:                              "cannot send answer: an invalid date has no value form",
		`() => /a/`:                                        "cannot send answer: a regular expression has no value form",
		`() => ({p: Promise.resolve(1)})`:                  "cannot send answer.p: a promise has no value form; await it",
		`() => new WeakMap()`:                              "cannot send answer: a WeakMap has no value form",
		`() => (function*() {})()`:                         "cannot send answer: a Generator has no value form",
		`() => 2n ** 2000000n`:                             "cannot send answer: a bigint of more than 1048576 bits has no form in JSON",
		`() => { const a = []; a.length = 4e9; return a }`: "cannot send the answer: it is longer than 67108864 bytes",
		`() => "x".repeat(7e7)`:                            "cannot send the answer: it is longer than 67108864 bytes",
		`() => { let a = []; for (let i = 0; i < 300; i++) a = [a]; return a }`: strings.Repeat("", 1),
	} {
		_, err := invoke(t, "exports.f = "+source, "")
		if fault.KindOf(err) != fault.Invalid || err == nil || want != "" && err.Error() != want {
			t.Errorf("%s: got %v (%v), want %s", source, err, fault.KindOf(err), want)
		}
	}
}

func TestInvoke_RefusesBadJSON(t *testing.T) {
	for _, in := range []string{`{`, `1 2`, `nul`, `"\x"`, `[1,]`, `1e999`, strings.Repeat("[", 300) + strings.Repeat("]", 300),
		strings.Repeat("9", 70000), strings.Repeat("[", 20000)} {
		if out, err := invoke(t, `exports.f = x => x`, in); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%.20s: got %s, %v, want invalid", in, out, err)
		}
	}
}

func FuzzDecodeCBOR(f *testing.F) {
	for _, s := range []string{"01", "8301820203", "a1616101", "a10102", "c249010000000000000000", "fb3ff8000000000000", "5f41014102ff",
		"bf61610161629fffff", "c074323031332d30332d32315432303a30343a30305a", "a1695f5f70726f746f5f5fa0", "9f9f9fff"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	fn := lookup(f, open(f, `exports.f = x => [x]`, nil), "f")
	var dec cbor.DecMode
	dec, _ = cbor.DecOptions{MaxNestedLevels: 300}.DecMode()
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := fn.Invoke(t.Context(), engine.CBOR, b, nil)
		switch {
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Fatalf("%x: %v", b, err)
		case err == nil && dec.Wellformed(out) != nil:
			t.Fatalf("%x: the answer %x is not CBOR", b, out)
		}
		for _, format := range []engine.Format{engine.JSON} {
			if _, err := fn.Invoke(t.Context(), format, b, nil); err != nil && fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%x: %v", b, err)
			}
		}
	})
}
