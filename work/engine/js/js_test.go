package js_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/engine/js/prepare"
)

func open(t testing.TB, source string, opts *js.Options) engine.Engine {
	t.Helper()
	e, err := js.Open([]byte(source), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// prepared opens source after preparing it as TypeScript.
func prepared(t testing.TB, source string, opts *js.Options) engine.Engine {
	t.Helper()
	script, err := prepare.Source([]byte(source), "test.ts")
	if err != nil {
		t.Fatal(err)
	}
	return open(t, string(script), opts)
}

func lookup(t testing.TB, e engine.Engine, name string) engine.Function {
	t.Helper()
	f, err := e.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// invoke calls exports.f of source with JSON.
func invoke(t testing.TB, source, input string) (string, error) {
	t.Helper()
	return invokeIn(t.Context(), lookup(t, open(t, source, nil), "f"), input)
}

func invokeIn(ctx context.Context, f engine.Function, input string) (string, error) {
	out, err := f.Invoke(ctx, engine.JSON, []byte(input), nil)
	return string(out), err
}

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

func TestInvoke_Errors(t *testing.T) {
	for _, test := range []struct {
		source string
		kind   fault.Kind
		want   string
	}{
		{`() => { throw new Error("boom") }`, fault.Remote, "Error: boom"},
		{`() => { undefined.x }`, fault.Remote, "TypeError: Cannot read property 'x' of undefined"},
		{`() => nothing`, fault.Remote, "ReferenceError: nothing is not defined"},
		{`async () => { await 1; throw new RangeError("late") }`, fault.Remote, "RangeError: late"},
		{`() => Promise.reject("plain")`, fault.Remote, "plain"},
		{`() => { throw "text" }`, fault.Remote, "text"},
		{`() => { throw null }`, fault.Remote, "null"},
		{`() => { throw undefined }`, fault.Remote, "undefined"},
		{`() => { throw {a: [1, 'x']} }`, fault.Remote, "{ a: [ 1, 'x' ] }"},
		{`() => { throw {kind: "invalid", message: "no such colour", hint: "try blue"} }`, fault.Invalid, "no such colour"},
		{`() => { throw {kind: "not found", message: "x"} }`, fault.NotFound, "x"},
		{`() => { throw {kind: "fancy", message: "x"} }`, fault.Remote, "x"},
		{`() => { class Full extends Error { kind = "busy"; name = "Full" }; throw new Full("later") }`, fault.Busy, "Full: later"},
		{`() => { throw { get message() { throw 1 } } }`, fault.Remote, "a value was thrown that cannot be described"},
		{`() => ({ get a() { throw new Error("getter") } })`, fault.Remote, "Error: getter"},
		{`() => ({ toJSON() { throw new Error("toJSON") } })`, fault.Remote, "Error: toJSON"},
		{`() => new Proxy({}, { ownKeys() { throw new Error("trap") } })`, fault.Remote, "Error: trap"},
		{`function f() { f() }`, fault.Remote, "RangeError: Maximum call stack size exceeded"},
		{`function f() { [1].map(f) }`, fault.Remote, "RangeError: Maximum call stack size exceeded"},
		{`() => { const o = { get x() { return this.x } }; return o }`, fault.Remote, "RangeError: Maximum call stack size exceeded"},
		{`() => new Promise(() => {})`, fault.Remote, "promise never settles: nothing is pending that could settle it"},
		{`() => { setTimeout(() => { throw new Error("in timer") }, 1); return new Promise(() => {}) }`, fault.Remote, "Error: in timer"},
		{`() => setTimeout("code")`, fault.Remote, "TypeError: a timer needs a function"},
		{`() => "x".repeat(2 ** 45)`, fault.Remote, "RangeError: Invalid string length"},
		{`() => "x".padEnd(2 ** 45)`, fault.Remote, "RangeError: Invalid string length"},
		{`() => eval("1 +")`, fault.Remote, ""},
		{`() => require("fs")`, fault.Remote, "ReferenceError: require is not defined"},
		{`() => process.exit()`, fault.Remote, "ReferenceError: process is not defined"},
	} {
		t.Run(test.source, func(t *testing.T) {
			f := lookup(t, open(t, "exports.f = "+test.source, nil), "f")
			for range 2 { // the second time perhaps in the runtime of the first
				_, err := invokeIn(t.Context(), f, "")
				if err == nil || fault.KindOf(err) != test.kind || test.want != "" && err.Error() != test.want {
					t.Fatalf("got %v (%v), want %s (%v)", err, fault.KindOf(err), test.want, test.kind)
				}
			}
		})
	}
}

func TestInvoke_ErrorHasStackAndHint(t *testing.T) {
	e := prepared(t, `type N = number;

function inner(n: N): never {
  throw new TypeError("boom " + n);
}
export function f(n: N) { return inner(n) }
export const g = () => { throw { kind: "invalid", message: "m", hint: "h" } }`, nil)
	_, err := invokeIn(t.Context(), lookup(t, e, "f"), "1")
	want := "TypeError: boom 1\n\tat inner (test.ts:4:8)\n\tat f (test.ts:6:39)"
	if got := fault.Stack(err); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = invokeIn(t.Context(), lookup(t, e, "g"), "")
	if got := fault.Hint(err); got != "h" {
		t.Errorf("got hint %q", got)
	}
	if got := fault.Stack(err); !strings.Contains(got, "test.ts:7:") {
		t.Errorf("got stack %q", got)
	}
}

func TestInvoke_Promises(t *testing.T) {
	for source, want := range map[string]string{
		`async n => n`: `1`,
		`n => new Promise(ok => setTimeout(ok, 5, n + 1))`:                                                `2`,
		`async n => { for (let i = 0; i < 3; i++) await new Promise(ok => setTimeout(ok, 1)); return n }`: `1`,
		`n => ({ then(ok) { ok(n + 5) } })`:                                                               `6`,
		`async () => { const log = []; setTimeout(() => log.push("t2"), 2); setTimeout(() => log.push("t1"), 1);
			queueMicrotask(() => log.push("m")); Promise.resolve().then(() => log.push("p")); log.push("s");
			await new Promise(ok => setTimeout(ok, 10)); return log.join() }`: `"s,m,p,t1,t2"`,
		`() => new Promise(ok => { let n = 0; const id = setInterval(() => { if (++n == 3) { clearInterval(id); ok(n) } }, 1) })`: `3`,
		`() => { setInterval(() => 1, 1); return "dropped" }`:                                                                     `"dropped"`,
		`() => new Promise(ok => { const id = setTimeout(() => ok("no"), 1); clearTimeout(id); setTimeout(ok, 5, "yes") })`:       `"yes"`,
		`() => Promise.all([1, 2].map(async n => n * 2))`:                                                                         `[2,4]`,
		`() => Promise.any([Promise.reject(1), new Promise(ok => setTimeout(ok, 1, 2))])`:                                         `2`,
		`() => { const { promise, resolve } = Promise.withResolvers(); resolve(1); return promise }`:                              `1`,
	} {
		if got, err := invoke(t, "exports.f = "+source, "1"); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", source, got, err, want)
		}
	}
}

func TestInvoke_StopsWhatRuns(t *testing.T) {
	for _, source := range []string{
		`() => { while (true) {} }`,
		`() => { try { while (true) {} } catch (e) {} finally { while (true) {} } }`,
		`async () => { await 1; for (;;) {} }`,
		`() => new Promise(() => { setInterval(() => 1, 1) })`,
		`() => new Promise(() => { setTimeout(() => { while (true) {} }, 1) })`,
		`() => new Promise(ok => setTimeout(ok, 1e6))`,
		`() => { const f = () => Promise.resolve().then(f); return f() }`,
		`() => [3, 2, 1].sort(() => { while (true) {} })`,
		`() => new Array(1e5).fill(0).map(() => { let i = 0; while (i < 1e6) i++ })`,
		`() => ({ get x() { while (true) {} } })`,
		`() => ({ toJSON() { while (true) {} } })`,
		`() => { throw { get message() { while (true) {} } } }`,
		`() => { Promise.reject({ get message() { while (true) {} } }); while (true) {} }`,
		`() => { Promise.reject({ get message() { while (true) {} } }) }`,
		`() => { Promise.reject({ get message() { while (true) {} } }); return { toJSON() { while (true) {} } } }`,
		`() => "a".replace(/a/g, () => { while (true) {} })`,
		`() => { const g = (function*() { while (true) yield 1 })(); for (const x of g) {} }`,
		`() => { console.log({ get x() { while (true) {} } }) }`,
		`() => { const m = new Map(); m[Symbol.iterator] = function*() { while (true) yield [1, 1] }; return m }`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			e := open(t, "exports.f = "+source+"; exports.g = () => 'alive'", &js.Options{Slots: 1})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := invokeIn(ctx, lookup(t, e, "f"), "")
			if !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Deadline {
				t.Errorf("got %v, want deadline", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v to stop", took)
			}
			for range 3 {
				if got, err := invokeIn(t.Context(), lookup(t, e, "g"), ""); got != `"alive"` || err != nil {
					t.Errorf("the next call: got %s, %v", got, err)
				}
			}
		})
	}
}

func TestInvoke_Canceled(t *testing.T) {
	f := lookup(t, open(t, `exports.f = () => { while (true) {} }`, nil), "f")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the boss left")
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	_, err := invokeIn(ctx, f, "")
	if fault.KindOf(err) != fault.Canceled || !errors.Is(err, cause) {
		t.Errorf("got %v (%v)", err, fault.KindOf(err))
	}
	if _, err := invokeIn(ctx, f, ""); fault.KindOf(err) != fault.Canceled {
		t.Errorf("an ended context: got %v", err)
	}
}

// A context that ends while calls return must neither hurt the next call nor lose a slot.
func TestInvoke_CancelRacesReturn(t *testing.T) {
	f := lookup(t, open(t, `let n = 0; exports.f = () => { for (let i = 0; i < 300; i++) n += i; return 1 }`, &js.Options{Slots: 2}), "f")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*7+g)%80)*time.Microsecond)
				if got, err := invokeIn(ctx, f, ""); err != nil && fault.KindOf(err) != fault.Deadline || err == nil && got != "1" {
					t.Errorf("got %s, %v", got, err)
				}
				cancel()
				if got, err := invokeIn(t.Context(), f, ""); got != "1" || err != nil {
					t.Errorf("without a deadline: got %s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestInvoke_WaitsForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, `exports.slow = () => new Promise(ok => setTimeout(ok, 300)); exports.f = () => 1`, &js.Options{Slots: 1})
		var wg sync.WaitGroup
		wg.Go(func() { invokeIn(t.Context(), lookup(t, e, "slow"), "") })
		synctest.Wait() // it has the slot, and sleeps
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := invokeIn(ctx, lookup(t, e, "f"), ""); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want deadline", err)
		}
		if got, err := invokeIn(t.Context(), lookup(t, e, "f"), ""); got != "1" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
		wg.Wait()
	})
}

func TestInvoke_Concurrently(t *testing.T) {
	f := lookup(t, open(t, `let busy = 0;
		exports.f = async n => { if (busy++) throw new Error("shared"); await new Promise(ok => setTimeout(ok, 1)); busy--; return n * n }`,
		&js.Options{Slots: 4}), "f")
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if got, err := invokeIn(t.Context(), f, fmt.Sprint(n)); err != nil || got != fmt.Sprint(n*n) {
				t.Errorf("f(%d): got %s, %v", n, got, err)
			}
		})
	}
	wg.Wait()
}

func TestInvoke_RuntimesShareNothing(t *testing.T) {
	e := open(t, `let n = 0; globalThis.m = 0; Array.prototype.extra = [];
		exports.f = async wait => { n++; m++; [].extra.push(1); if (wait) await new Promise(ok => setTimeout(ok, wait)); return [n, m, [].extra.length] }`,
		&js.Options{Slots: 2})
	f := lookup(t, e, "f")
	var wg sync.WaitGroup
	for range 2 { // both slots at once: two runtimes, each sees only itself
		wg.Go(func() {
			if got, err := invokeIn(t.Context(), f, "200"); got != "[1,1,1]" || err != nil {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	wg.Wait()
	if got, _ := invokeIn(t.Context(), f, "0"); got != "[2,2,2]" {
		t.Errorf("a runtime forgot: got %s", got)
	}
}

func TestInvoke_LeftOversDoNotReachTheNextCall(t *testing.T) {
	var lines []string
	e := open(t, `exports.leave = () => { setTimeout(() => console.log("late"), 1); return 1 };
		exports.wait = () => new Promise(ok => setTimeout(ok, 20, 2))`,
		&js.Options{Slots: 1, Log: func(_, s string) { lines = append(lines, s) }})
	invokeIn(t.Context(), lookup(t, e, "leave"), "")
	if got, err := invokeIn(t.Context(), lookup(t, e, "wait"), ""); got != "2" || err != nil || len(lines) > 0 {
		t.Errorf("got %s, %v, %q", got, err, lines)
	}
}

func TestOpen_Exports(t *testing.T) {
	for _, test := range []struct {
		source string
		typed  bool
		want   []string
	}{
		{`exports.b = () => 1; exports.a = function() {}; exports.n = 5; exports.C = class {}`, false, []string{"a", "b"}},
		{`module.exports = n => n`, false, []string{"default"}},
		{`module.exports = { x() {}, async y() {} }`, false, []string{"x", "y"}},
		{`this.z = () => 1`, false, []string{"z"}},
		{`export default (n: number) => n; export const twice = (n: number) => 2 * n; export type T = string; export { twice as double }`,
			true, []string{"default", "double", "twice"}},
		{`const f = () => 1; f.g = () => 2; module.exports = f`, true, []string{"default", "g"}},
	} {
		e := error(nil)
		var eng engine.Engine
		if test.typed {
			eng = prepared(t, test.source, nil)
		} else {
			eng, e = js.Open([]byte(test.source), nil)
		}
		if e != nil {
			t.Error(e)
			continue
		}
		var got []string
		for _, x := range eng.Exports() {
			got = append(got, x.Name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.source, diff)
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	for source, want := range map[string]string{
		`let = 5 +`:                       "SyntaxError: calc.js: Line 1:",
		"exports.f = () => 1;\nlet x = ;": "SyntaxError: calc.js: Line 2:9",
		`throw new Error("at load")`:      "Error: at load",
		`const x = 1`:                     "it exports no function",
		`export default 1`:                "SyntaxError",
		`module.exports = 5`:              "it exports no function",
		`function f() { f() }; f()`:       "RangeError",
		``:                                "it exports no function",
	} {
		_, err := js.Open([]byte(source), &js.Options{Name: "calc.js"})
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v (%v), want %s", source, err, fault.KindOf(err), want)
		}
	}
}

func TestOpen_EndlessTopLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	t.Parallel()
	_, err := js.Open([]byte(`while (true) {}`), nil)
	if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), "did not end within 5s") {
		t.Errorf("got %v", err)
	}
}

func TestLookup(t *testing.T) {
	limits := bundle.Limits{TimeoutMS: 5}
	e := open(t, `exports.b = exports.a = () => 1`, &js.Options{Limits: limits})
	if got := lookup(t, e, "a").Limits(); got != limits {
		t.Errorf("got %v", got)
	}
	_, err := e.Lookup("c")
	if got, want := fmt.Sprint(err), "cannot find function c: no such function; there are a, b"; got != want || fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestGlobals(t *testing.T) {
	for source, want := range map[string]string{
		`() => [...new TextEncoder().encode("é😀")]`:                                                                           `[195,169,240,159,152,128]`,
		`() => new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 195, 169, 255]))`:                                   "\"é\uFFFD\"",
		`() => { try { new TextDecoder("utf-8", {fatal: true}).decode(new Uint8Array([255])) } catch (e) { return e.name } }`: `"TypeError"`,
		`() => new TextDecoder().decode(new Uint8Array([97, 98, 99]).subarray(1))`:                                            `"bc"`,
		`() => { try { new TextDecoder("latin1") } catch (e) { return e.name } }`:                                             `"RangeError"`,
		`() => [btoa("a\xff"), atob("Yf8="), atob(" YQ "), atob("")]`:                                                         "[\"Yf8=\",\"aÿ\",\"a\",\"\"]",
		`() => { try { btoa("😀") } catch (e) { return e.name } }`:                                                             `"TypeError"`,
		`() => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())`:             `true`,
		`() => crypto.getRandomValues(new Uint32Array(64)).some(x => x > 255)`:                                                `true`,
		`() => { const a = performance.now(); return performance.now() >= a }`:                                                `true`,
		`() => { const a = {d: new Date(5), m: new Map([[1, {x: 1}]]), s: new Set([1]), u: new Uint16Array([1, 2]), e: new RangeError("r"), r: /a/g, l: [1,,2]};
			a.self = a; const b = structuredClone(a);
			return [b !== a, b.self === b, b.d.getTime(), b.m.get(1).x, b.m.get(1) !== a.m.get(1), b.s.has(1), b.u[1], b.u.buffer !== a.u.buffer, b.e instanceof RangeError, b.e.message, b.r.flags, b.l.length] }`: `[true,true,5,1,true,true,2,true,true,"r","g",3]`,
		`() => { try { structuredClone(() => 1) } catch (e) { return e.message } }`:      `"cannot clone a function"`,
		`() => typeof GoError + typeof process + typeof require + typeof module.require`: `"undefinedundefinedundefinedundefined"`,
		`() => Object.keys(globalThis)`:                                                  `[]`,
		`() => "ab".repeat(2) + "a".padStart(3) + "a".padEnd(3, "xy")`:                   `"abab  aaxy"`,
		`() => [String.prototype.repeat.length, String.prototype.padEnd.name]`:           `[1,"padEnd"]`,
		`() => Object.keys(Object.groupBy([1, 2, 3], n => n % 2 ? "odd" : "even"))`:      `["odd","even"]`,
	} {
		if got, err := invoke(t, "exports.f = "+source, ""); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", source, got, err, want)
		}
	}
}

func TestSourceMapsOpenNoFiles(t *testing.T) {
	// The parser's default would read the file a comment names.
	for _, source := range []string{
		"exports.f = () => 1\n//# sourceMappingURL=/dev/zero",
		"exports.f = () => eval('1\\n//# sourceMappingURL=/dev/zero')",
	} {
		if got, err := invoke(t, source, ""); got != "1" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
}

func TestPreparedLanguage(t *testing.T) {
	for source, want := range map[string]string{
		`async function* g(n: number) { for (let i = 0; i < n; i++) yield i }
			export async function f() { const all = []; for await (const x of g(3)) all.push(x); return all }`: `[0,1,2]`,
		`export async function f() { const it = { async *[Symbol.asyncIterator]() { yield 7 } }; for await (const x of it) return x }`: `7`,
		`class A { #x = 1; static #n = 2; #m() { return this.#x } get v() { return this.#m() + A.#n } static { (A as any).z = 3 } }
			export const f = () => new A().v + (A as any).z`: `6`,
		`enum Color { Red = 3 }; namespace N { export const k = 4 }; export const f = () => Color.Red + N.k`:                                                                `7`,
		`export const f = () => /^\p{L}+$/u.test("aéλ") && !/^\p{L}+$/u.test("1") && /^[\p{Nd}\-]+$/u.test("1-٣") && /^\P{L}$/u.test("1") && /\p{Script=Greek}/u.test("λ")`: `true`,
		`export const f = () => "aé1".replace(/\p{L}/gu, "x") + "a,b".split(/,/u).length + (/\p{Lu}/u instanceof RegExp)`:                                                   `"xx12true"`,
		`export const f = () => { using x = { [Symbol.dispose]() { done = true } }; return "used" }; let done = false`:                                                      `"used"`,
		`function twice(v: any, c: any) { return function(this: any, n: number) { return v.call(this, n) * 2 } }
			class C { @twice m(n: number) { return n } }; export const f = () => new C().m(4)`: `8`,
		`export const f = (o?: { a?: { b: number } }) => o?.a?.b ?? 10n ** 20n`:                                            `100000000000000000000`,
		`let x: number | null = null; x ??= 4; export const f = () => [1_000, x, [1, 2].at(-1), "a".replaceAll("a", "b")]`: `[1000,4,2,"b"]`,
	} {
		f := lookup(t, prepared(t, source, nil), "f")
		if got, err := invokeIn(t.Context(), f, ""); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", source, got, err, want)
		}
	}
}

func TestConsole(t *testing.T) {
	for source, want := range map[string]string{
		`"a", 1, true, null, undefined, 5n, -0, Symbol("s")`: "a 1 true null undefined 5n -0 Symbol(s)",
		`["a'b", 'x']`:                                      `[ "a'b", 'x' ]`,
		`{a: 1, "b-c": {d: {e: {f: 1}}}}`:                   `{ a: 1, 'b-c': { d: { e: [Object] } } }`,
		`[], {}, [[[[1]]]]`:                                 `[] {} [ [ [ [Array] ] ] ]`,
		`new Map([["a", {b: 1}]]), new Set([1])`:            `Map(1) { 'a' => { b: 1 } } Set(1) { 1 }`,
		`() => 1, function foo() {}, class K {}`:            `[Function (anonymous)] [Function: foo] [class K]`,
		`new (class P { x = 1 }), Object.create(null)`:      `P { x: 1 } [Object: null prototype] {}`,
		`new Date(0), /a/g, new Date(NaN)`:                  `1970-01-01T00:00:00.000Z /a/g Invalid Date`,
		`new Uint8Array([1, 2]), new ArrayBuffer(3)`:        `Uint8Array(2) [ 1, 2 ] ArrayBuffer { byteLength: 3 }`,
		`Promise.resolve(1), new Promise(() => {})`:         `Promise { 1 } Promise { <pending> }`,
		`"%s is %d%% %i %o", "x", 1.5, 2.7, {a: 1}, "rest"`: `x is 1.5% 2 { a: 1 } rest`,
		`"%s"`: `%s`,
		`(() => { const a = {}; a.a = a; return a })()`:                `{ a: [Circular] }`,
		`Array.from({length: 102}, (_, i) => "long text " + i).length`: `102`,
		`["x".repeat(40), "y".repeat(40)]`:                             "[\n  '" + strings.Repeat("x", 40) + "',\n  '" + strings.Repeat("y", 40) + "'\n]",
		``:                                                             ``,
	} {
		var got []string
		e := open(t, "exports.f = () => { console.log("+source+"); }", &js.Options{Log: func(level, text string) { got = append(got, level+" "+text) }})
		if _, err := invokeIn(t.Context(), lookup(t, e, "f"), ""); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"info " + want}, got); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
}

func TestConsole_LevelsAndBounds(t *testing.T) {
	var got []string
	e := open(t, `exports.f = () => { console.warn("w"); console.error("e"); console.debug("d"); console.info("i"); console.assert(1 > 2, "math");
		console.log("x".repeat(1e6)); Promise.reject(new Error("lost")) }`, &js.Options{Log: func(level, text string) {
		got = append(got, level+" "+text[:min(len(text), 40)])
		if len(text) > 70<<10 {
			t.Errorf("a line of %d bytes", len(text))
		}
	}})
	invokeIn(t.Context(), lookup(t, e, "f"), "")
	want := []string{"warn w", "error e", "debug d", "info i", "error Assertion failed math", "info " + strings.Repeat("x", 40),
		"error Uncaught (in promise) Error: lost"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClose(t *testing.T) {
	e := open(t, `exports.f = () => 1`, nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := invokeIn(t.Context(), lookup(t, e, "f"), ""); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
}

// A goroutine that stayed would keep its bubble from ending: that is a panic.
func TestNoGoroutinesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := lookup(t, open(t, `exports.f = () => new Promise(ok => setTimeout(ok, 1))`, nil), "f")
		for i := range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(500+i*20)*time.Microsecond) // before it is done, and after
			if _, err := invokeIn(ctx, f, ""); (err != nil) != (i < 25) && i != 25 {
				t.Errorf("call %d: %v", i, err)
			}
			cancel()
		}
	})
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

func BenchmarkInvoke(b *testing.B) {
	for name, format := range map[string]engine.Format{"cbor": engine.CBOR, "json": engine.JSON} {
		b.Run(name, func(b *testing.B) {
			script, err := prepare.Expression("(n) => n * n")
			if err != nil {
				b.Fatal(err)
			}
			f := lookup(b, open(b, string(script), nil), "default")
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			in := []byte{12}
			if format == engine.JSON {
				in = []byte("12")
			}
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if out, err = f.Invoke(ctx, format, in, out[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInvoke_Records(b *testing.B) {
	f := lookup(b, open(b, `exports.f = list => list`, nil), "f")
	var records []map[string]any
	for i := range 1000 {
		records = append(records, map[string]any{"id": i, "name": "name", "price": 1.5, "tags": []string{"a", "b"}})
	}
	in, _ := cbor.Marshal(records)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), engine.CBOR, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	script, err := prepare.Expression("(n) => n * n")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			js.Open(script, nil)
		}
	})
	b.Run("first call", func(b *testing.B) {
		for b.Loop() {
			e, err := js.Open(script, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := invokeIn(b.Context(), lookup(b, e, "default"), "12"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			prepare.Expression("(n) => n * n")
		}
	})
}

func Example() {
	eng, err := js.Open([]byte(`exports.square = n => n * n`), nil)
	if err != nil {
		panic(err)
	}
	defer eng.Close()
	square, err := eng.Lookup("square")
	if err != nil {
		panic(err)
	}
	out, err := square.Invoke(context.Background(), engine.JSON, []byte("12"), nil)
	fmt.Println(string(out), err)
	// Output: 144 <nil>
}
