package prepare_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/engine/js/prepare"
)

// files writes a tree of files and returns its folder.
func files(t *testing.T, tree map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tree {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func call(t *testing.T, script []byte, name, input string) string {
	t.Helper()
	e, err := js.Open(script, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := e.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.Invoke(context.Background(), engine.JSON, []byte(input), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var tree = map[string]string{
	"main.ts": `import { twice } from './lib/util'
import data from './data.json'
import old = require('./old.cjs')
import type { Server } from 'node:http'
export function go(n: number): number { return twice(n) + data.add + old.one }
export type { Server }`,
	"lib/util.ts": `export const twice = (n: number) => n * 2`,
	"data.json":   `{"add": 3}`,
	"old.cjs":     `exports.one = 1`,
	// Not to be obeyed: the bytes would depend on it.
	"tsconfig.json": `{"compilerOptions": {"target": "es5", "baseUrl": "/nowhere"}}`,
}

func TestFile_BundlesLocalImports(t *testing.T) {
	script, err := prepare.File(filepath.Join(files(t, tree), "main.ts"))
	if err != nil {
		t.Fatal(err)
	}
	if got := call(t, script, "go", "10"); got != "24" {
		t.Errorf("got %s", got)
	}
}

func TestFile_SameBytesAnywhere(t *testing.T) {
	one, err := prepare.File(filepath.Join(files(t, tree), "main.ts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(files(t, tree))
	two, err := prepare.File("main.ts")
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("%v, differ:\n%s\n%s", err, one, two)
	}
}

func TestFile_Refuses(t *testing.T) {
	for _, test := range []struct {
		kind fault.Kind
		tree map[string]string
		want string
	}{
		{fault.Invalid, map[string]string{"main.ts": "\nimport fs from 'fs'\nexport const f = () => fs.x"}, `main.ts:2:16: cannot import "fs": only local files`},
		{fault.Invalid, map[string]string{"main.ts": "import fs from 'node:fs'\nexport const f = () => fs.x"}, `cannot import "node:fs"`},
		{fault.Invalid, map[string]string{"main.ts": "const x = require('lodash')"}, `main.ts:1:19: cannot import "lodash"`},
		{fault.Invalid, map[string]string{"main.ts": "import 'https://example.com/x.js'"}, `cannot import "https://example.com/x.js"`},
		{fault.Invalid, map[string]string{"main.ts": "import '/etc/hosts'"}, `cannot import "/etc/hosts"`},
		{fault.Invalid, map[string]string{"main.ts": "import './gone'"}, `main.ts:1:8: Could not resolve "./gone"`},
		{fault.Invalid, map[string]string{"main.ts": "import './b'", "b.ts": "\n\nlet = = 5"}, `b.ts:3:7: `},
		{fault.Invalid, map[string]string{"main.ts": "import x from './a.png'\nx", "a.png": "x"}, `main.ts:1:15: No loader`},
		{fault.Invalid, map[string]string{"main.ts": "export const a = await 1"}, `main.ts:1:18: Top-level await is not available here`},
		{fault.NotFound, nil, "no such file"},
	} {
		_, err := prepare.File(filepath.Join(files(t, test.tree), "main.ts"))
		if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v (%v), want %s", err, fault.KindOf(err), test.want)
		}
	}
}

func TestSource(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"a.ts", `export const f = (n: number) => n + 1`, "3"},
		{"a.js", `export const f = n => n + 1`, "3"},
		{"a.mjs", `export const f = n => n + 1`, "3"},
		{"", `exports.f = n => n + 1`, "3"},
		{"a.cjs", `module.exports = { f: n => n + 1 }`, "3"},
	} {
		script, err := prepare.Source([]byte(test.source), test.name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := call(t, script, "f", "2"); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
	_, err := prepare.Source([]byte("export const x = 1\nlet y: = 2"), "a.ts")
	if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "a.ts:2:8: ") {
		t.Errorf("got %v", err)
	}
	if _, err = prepare.Source([]byte("import './x'"), "a.ts"); err == nil || !strings.Contains(err.Error(), "lies in no directory") {
		t.Errorf("got %v", err)
	}
}

func TestExpression(t *testing.T) {
	for _, test := range []struct{ expr, input, want string }{
		{"(n) => n * n", "12", "144"},
		{" n => n; ", "1", "1"},
		{"(n: number) => n + 1", "1", "2"},
		{"function f(n) { return n } // mine", "1", "1"},
		{"async (a, b) => {\n  await 1;\n  return a + b\n}", "[1,2]", "3"},
		{"async n => { const all = []; for await (const x of [n, 2]) all.push(x); return all }", "1", "[1,2]"},
		{"s => /^[\\p{L}]$/u.test(s)", `"é"`, "true"},
	} {
		script, err := prepare.Expression(test.expr)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := call(t, script, "default", test.input); got != test.want {
			t.Errorf("%s: got %s, want %s", test.expr, got, test.want)
		}
	}
}

func TestExpression_Refuses(t *testing.T) {
	for expr, want := range map[string]string{
		"":                    "it is empty",
		" ;":                  "it is empty",
		"n => n +":            "expression:1:9: unexpected end of the expression",
		"(n => n":             "unexpected end of the expression",
		"n =>\n  n +":         "expression:2:6: unexpected end of the expression",
		"n => n n":            `expression:1:8: Expected ")" but found "n"`,
		"n => {\n let = ;\n}": "expression:2:8: ",
		"const k = 1":         `expression:1:1: Unexpected "const"`,
		"a); (b":              "it is more than one expression",
		"n => import('fs')":   `cannot import "fs"`,
	} {
		_, err := prepare.Expression(expr)
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v (%v), want %s", expr, err, fault.KindOf(err), want)
		}
		if err != nil && fault.Hint(err) == "" {
			t.Errorf("%q: no hint", expr)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"n => n", "a); (b", "`", "n => {\n", "/*", "\x00", "export default 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if _, err := prepare.Expression(expr); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", expr, err)
		}
	})
}
