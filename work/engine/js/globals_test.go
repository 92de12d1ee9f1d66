package js_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/engine/js/prepare"
)

// prepared opens source after preparing it as TypeScript.
func prepared(t testing.TB, source string, opts *js.Options) engine.Engine {
	t.Helper()
	script, err := prepare.Source([]byte(source), "test.ts")
	if err != nil {
		t.Fatal(err)
	}
	return open(t, string(script), opts)
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
