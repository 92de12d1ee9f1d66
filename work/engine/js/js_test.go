package js_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
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
