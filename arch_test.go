package become_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The packages of the module and what they may import. Each rule has its reason.

const module = "github.com/universal-server/become"

// rule says that no package in of imports anything in never, but those in except.
type rule struct {
	of, never, except []string
	why               string
}

var rules = []rule{
	{
		of: []string{"ground"}, never: []string{"keep", "work", "serve", "talk", "fleet", "node", "cmd", "examples", "."},
		why: "the ground knows nothing of what stands on it",
	}, {
		of: []string{"ground/reexec"}, never: []string{"ground/process", "ground/line", "ground/confine"},
		why: "what is handed over is the business of whoever has it",
	}, {
		of: []string{"ground/confine"}, never: []string{"ground/process"},
		why: "a process is started by one, and confined by the other on the way",
	}, {
		of: []string{"keep"}, never: []string{"work", "serve", "talk", "fleet", "node", "cmd", "examples", ".", "ground/bus/jet", "ground/bus/mem", "ground/bus/embed"},
		why: "state is kept for those above, on whatever bus there is",
	}, {
		of: []string{"work"}, never: []string{"talk", "fleet", "node", "cmd", "examples", "."},
		why: "a worker and a boss meet at the bus, not in a program",
	}, {
		of: []string{"fleet"}, never: []string{"node", "cmd", "examples", ".", "ground/bus/embed"},
		why: "every program carries it: no server may come along",
	}, {
		of: []string{"serve"}, never: []string{"work", "talk", "fleet", "node", "cmd", "examples", "."},
		why: "what serves stands on the ground only, and needs no fleet",
	}, {
		of: []string{"talk"}, never: []string{"work", "serve", "fleet", "node", "cmd", "examples", "."},
		why: "what talks stands on the ground only",
	}, {
		of: []string{"serve/socket", "serve/service", "serve/wire", "serve/manners"}, never: []string{"serve/keeper"},
		why: "keeper and serving process meet at the line, as their processes do",
	}, {
		of: []string{"serve/keeper"}, never: []string{"serve/service", "serve/router"},
		why: "keeper and serving process meet at the line, as their processes do",
	}, {
		of: []string{"serve/runs"}, never: []string{"serve/keeper", "serve/master", "serve/role"},
		why: "what happened is written down whoever made it happen",
	}, {
		of: []string{"serve/handoff"}, never: []string{"serve/keeper", "serve/service", "serve/router", "serve/master"},
		why: "it is the wire between who accepts and who serves",
	}, {
		of: []string{"serve/router"}, never: []string{"serve/keeper", "serve/service", "serve/master"},
		why: "who passes connections and who keeps processes meet at the seats",
	}, {
		of: []string{"serve/stock"}, never: []string{"serve/keeper", "serve/master"},
		why: "what serves does not know who keeps it",
	}, {
		of: []string{"."}, never: []string{"serve/keeper", "serve/master", "serve/router", "serve/stock", "node", "cmd", "examples", "ground/bus/embed", "work/engine/js", "work/engine/js/prepare"},
		why: "a program that travels is small",
	}, {
		of: []string{"node"}, never: []string{"cmd", "examples", "work/worker", "work/boss", "work/engine/js", "work/engine/native"},
		why: "a node never runs user code, and is never between a boss and a worker",
	}, {
		of: []string{"work/boss"}, never: []string{"work/worker", "work/engine/native", "work/engine/js"},
		why: "boss and worker meet at the line, as their processes do",
	}, {
		of: []string{"work/worker", "work/engine"}, never: []string{"work/boss"},
		why: "boss and worker meet at the line, as their processes do",
	}, {
		of: []string{""}, never: []string{"github.com/nats-io/"},
		except: []string{"ground/bus/jet", "ground/bus/embed"},
		why:    "the bus is swappable",
	}, {
		of: []string{""}, never: []string{"github.com/dop251/goja"}, except: []string{"work/engine/js"},
		why: "an engine is behind its contract",
	}, {
		of: []string{""}, never: []string{"github.com/evanw/esbuild"}, except: []string{"work/engine/js/prepare"},
		why: "scripts are prepared where bundles are made",
	}, {
		of: []string{""}, never: []string{"github.com/coder/websocket"}, except: []string{"talk/door/session", "talk/client"},
		why: "sessions are behind their door, and their client",
	}, {
		of: []string{""}, never: []string{"go.opentelemetry.io/otel/", "go.opentelemetry.io/otel"}, except: []string{"ground/trace"},
		why: "what makes spans does not mind by whom",
	}, {
		of: []string{"ground/trace/span"}, never: []string{"ground/trace/otlp", "go.opentelemetry.io/otel/sdk/"},
		why: "a program's own provider takes spans as well as ours",
	}, {
		of: []string{""}, never: []string{"go.opentelemetry.io/proto/", "google.golang.org/"}, except: []string{"ground/trace/otlp/otlptest"},
		why: "protobuf and gRPC are most of what an exporter would weigh",
	}, {
		of: []string{""}, never: []string{"github.com/spf13/", "github.com/vbauerster/"}, except: []string{"cmd"},
		why: "the command line is the command's",
	},
}

// notInPrograms are modules that a program importing become does not link.
var notInPrograms = []string{
	"github.com/nats-io/nats-server", "github.com/dop251/goja", "github.com/evanw/esbuild",
	"github.com/spf13/cobra", "github.com/prometheus", "google.golang.org/grpc", "google.golang.org/protobuf", module + "/node", module + "/ground/bus/embed",
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir, Name, Doc         string
	GoFiles                            []string
	IgnoredGoFiles                     []string
	Imports, TestImports, XTestImports []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Name,Doc,GoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// short is a package's path within the module: "." for its root; others keep theirs.
func short(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// within reports whether a package is one of those named or below it. A name that
// ends in a slash is any path that begins so, "" is every package.
func within(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		switch {
		case name == "":
			return true
		case strings.HasSuffix(name, "/"):
			return strings.HasPrefix(path, name)
		}
		return path == name || name != "." && strings.HasPrefix(path, name+"/")
	})
}

func TestArchitecture_ImportsFollowTheMap(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) < 20 {
		t.Fatalf("only %d packages: the rules would hold for nothing", len(packages))
	}
	for _, r := range rules {
		matched := false
		for _, p := range packages {
			path := short(p.ImportPath)
			if !within(path, r.of) || within(path, r.except) {
				continue
			}
			matched = true
			for _, imported := range p.Imports {
				if within(short(imported), r.never) {
					t.Errorf("%s imports %s: %s", path, short(imported), r.why)
				}
			}
		}
		if !matched {
			t.Errorf("the rule %q is about no package", r.why)
		}
	}
	// The tests of the ground stand on the ground too.
	for _, p := range packages {
		if path := short(p.ImportPath); within(path, []string{"ground"}) {
			for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
				if within(short(imported), rules[0].never) {
					t.Errorf("a test of %s imports %s: %s", path, short(imported), rules[0].why)
				}
			}
		}
	}
}

func TestArchitecture_ProgramsLinkNoServerAndNoEngine(t *testing.T) {
	deps := goList(t, "-deps", ".")
	if len(deps) < 50 {
		t.Fatalf("only %d dependencies", len(deps))
	}
	for _, p := range deps {
		for _, never := range notInPrograms {
			if p.ImportPath == never || strings.HasPrefix(p.ImportPath, never+"/") {
				t.Errorf("every program links %s", p.ImportPath)
			}
		}
	}
}

func TestArchitecture_EveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range goList(t, "./...") {
		path := short(p.ImportPath)
		switch {
		case len(p.GoFiles) == 0: // tests only
		case p.Doc == "":
			t.Errorf("%s has no package comment", path)
		case p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" "):
			t.Errorf("the package comment of %s does not begin with %q", path, "Package "+p.Name)
		case p.Name != "main" && !slices.Contains(p.GoFiles, "doc.go"):
			t.Errorf("%s has no doc.go", path)
		}
	}
}

// loud are files that may print to standard output or end the process, beside
// commands.
var loud = map[string]string{
	"settings.go": "the user's editor has the program's terminal",
	"main.go":     "become.Main is a program's main function",
	"serve.go":    "become.Serve is one too",

	"ground/slogs/program.go":       "the package log prints as before, though slog's default has changed",
	"ground/confine/child_linux.go": "a process that could not become its program has nobody to return to",
}

// panics are files that may panic, beside commands.
var panics = map[string]string{
	"func.go":                   "become.Func panics where CheckFunc returns an error, for package variables",
	"ground/codec/codec.go":     "of constants that are wrong",
	"work/engine/js/globals.go": "how the interpreter's library wants exceptions thrown",
}

func TestArchitecture_LibrariesNeitherPrintNorExitNorPanic(t *testing.T) {
	used := map[string]bool{}
	for _, p := range goList(t, "./...") {
		path := short(p.ImportPath)
		if p.Name == "main" || within(path, []string{"cmd", "examples", "bench", "ground/bus/bustest"}) {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file := filepath.ToSlash(filepath.Join(path, name))
			for _, found := range inspect(t, filepath.Join(p.Dir, name)) {
				allowed := loud
				if found.what == "panic" {
					allowed = panics
				}
				if allowed[file] == "" {
					t.Errorf("%s:%d: %s in a library", file, found.line, found.what)
				}
				used[file] = true
			}
		}
	}
	for _, allowed := range []map[string]string{loud, panics} {
		for file := range allowed {
			if !used[file] {
				t.Errorf("%s no longer needs its exception", file)
			}
		}
	}
}

type finding struct {
	what string
	line int
}

// inspect finds calls that print to standard output, end the process or panic.
func inspect(t *testing.T, path string) (found []finding) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	imported := map[string]bool{}
	for _, i := range file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			imported[p] = true
		}
	}
	note := func(what string, n ast.Node) {
		found = append(found, finding{what, set.Position(n.Pos()).Line})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "panic" || f.Name == "print" || f.Name == "println") {
				note(f.Name, n)
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := pkg.Name + "." + n.Sel.Name
			switch {
			case imported["fmt"] && pkg.Name == "fmt" && strings.HasPrefix(n.Sel.Name, "Print"),
				imported["os"] && (name == "os.Exit" || name == "os.Stdout"),
				imported["log"] && pkg.Name == "log",
				imported["syscall"] && name == "syscall.Exit":
				note(name, n)
			}
		}
		return true
	})
	return found
}

// maxProgram is the most that a small program may weigh, stripped: it travels.
const maxProgram = 12_000_000

func TestArchitecture_AProgramIsSmall(t *testing.T) {
	out := filepath.Join(t.TempDir(), "factorial")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "./examples/factorial")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("examples/factorial is %.1f MB", float64(info.Size())/1e6)
	if info.Size() >= maxProgram {
		t.Errorf("examples/factorial is %d bytes stripped, want below %d", info.Size(), maxProgram)
	}
}
