package prepare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/universal-server/become/ground/fault"
)

// maxErrors is how many errors are told at once.
const maxErrors = 10

// unsupported is what the interpreter lacks; esbuild rewrites it or says that it cannot.
var unsupported = map[string]bool{
	"async-generator":                 false,
	"for-await":                       false,
	"top-level-await":                 false,
	"dynamic-import":                  false,
	"import-meta":                     false,
	"import-attributes":               false,
	"decorators":                      false,
	"using":                           false,
	"regexp-match-indices":            false,
	"regexp-set-notation":             false,
	"regexp-unicode-property-escapes": false, // becomes new RegExp, which engine/js expands
	"hashbang":                        false,
}

// File prepares the file at path and what it imports.
func File(path string) ([]byte, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "prepare", path, err)
	}
	if info, err := os.Stat(full); err != nil {
		kind := fault.Internal
		if errors.Is(err, os.ErrNotExist) {
			kind = fault.NotFound
		}
		return nil, fault.New(kind, "prepare", path, err)
	} else if info.IsDir() {
		return nil, fault.Text(fault.Invalid, "prepare", path, "it is a directory")
	}
	opts := options(filepath.Dir(full))
	opts.EntryPoints = []string{full}
	return build(opts, filepath.Base(path), nil)
}

// Source prepares src, which is called name in errors and stacks; its extension
// says JavaScript or TypeScript, and without one it may be either. It lies in no
// directory, so it cannot import.
func Source(src []byte, name string) ([]byte, error) {
	if name == "" {
		name = "source"
	}
	name = filepath.Base(name)
	opts := options(string(filepath.Separator))
	opts.Stdin = &api.StdinOptions{Contents: string(src), Sourcefile: name, Loader: loader(name)}
	return build(opts, name, nil)
}

// opening stands before an expression on its first line.
const opening = "exports.default=("

// Expression prepares an expression that is a function, such as "(n) => n * n";
// the script exports it as "default".
func Expression(expr string) ([]byte, error) {
	const hint = "write one expression that is a function: (n) => n * n"
	trimmed := strings.TrimRight(strings.TrimSpace(expr), "; \t\r\n")
	if trimmed == "" {
		return nil, fault.Text(fault.Invalid, "prepare", "expression", "it is empty").WithHint(hint)
	}
	opts := options(string(filepath.Separator))
	opts.Stdin = &api.StdinOptions{Contents: opening + trimmed + "\n);\n", Sourcefile: "expression", Loader: api.LoaderTS}
	out, err := build(opts, "expression", func(l *api.Location) string {
		if l.Line > strings.Count(trimmed, "\n")+1 {
			l.Line--
			l.Column = len(trimmed[strings.LastIndexByte(trimmed, '\n')+1:])
			if l.Line == 1 {
				l.Column += len(opening)
			}
			l.Length = 0
			return "unexpected end of the expression"
		}
		return ""
	})
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok {
			e.Hint = hint
		}
		return nil, err
	}
	// "a); (b" went well between parentheses and is no expression; it does not between brackets.
	alone := api.Transform("void [\n"+trimmed+"\n]", api.TransformOptions{Loader: api.LoaderTS, LogLevel: api.LogLevelSilent})
	if len(alone.Errors) > 0 {
		return nil, fault.Text(fault.Invalid, "prepare", "expression", "it is more than one expression").WithHint(hint)
	}
	return out, nil
}

func loader(name string) api.Loader {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".js", ".mjs", ".cjs":
		return api.LoaderJS
	case ".jsx":
		return api.LoaderJSX
	case ".tsx":
		return api.LoaderTSX
	}
	return api.LoaderTS
}

func options(dir string) api.BuildOptions {
	return api.BuildOptions{
		AbsWorkingDir: dir,
		Bundle:        true,
		Format:        api.FormatCommonJS,
		Platform:      api.PlatformNeutral,
		Target:        api.ESNext,
		Supported:     unsupported,
		Charset:       api.CharsetUTF8,
		LegalComments: api.LegalCommentsNone,
		LogLevel:      api.LogLevelSilent,
		Outfile:       filepath.Join(dir, "bundle.js"),
		// A tsconfig lying around would make the bytes depend on the place.
		TsconfigRaw:    `{}`,
		Sourcemap:      api.SourceMapInline,
		SourcesContent: api.SourcesContentExclude,
		Plugins:        []api.Plugin{{Name: "become", Setup: localOnly}},
	}
}

// localOnly refuses every import that is not a relative path.
func localOnly(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		if a.Kind == api.ResolveEntryPoint {
			return api.OnResolveResult{}, nil
		}
		if !strings.HasPrefix(a.Path, "./") && !strings.HasPrefix(a.Path, "../") && a.Path != "." && a.Path != ".." {
			return api.OnResolveResult{}, fmt.Errorf(
				"cannot import %q: only local files can be imported, by a relative path (./%s.js); there are no Node modules and no network",
				a.Path, strings.TrimPrefix(filepath.Base(a.Path), "node:"))
		}
		if a.ResolveDir == "" || a.Importer == "" && a.Namespace != "file" {
			return api.OnResolveResult{}, fmt.Errorf("cannot import %q: a source that lies in no directory imports nothing", a.Path)
		}
		return api.OnResolveResult{}, nil
	})
}

// build runs esbuild. adjust, which may be nil, may move the place of an error in
// the author's text and give it another text.
func build(opts api.BuildOptions, name string, adjust func(*api.Location) string) ([]byte, error) {
	res := api.Build(opts)
	if len(res.Errors) > 0 {
		var lines []string
		for i, m := range res.Errors {
			if i == maxErrors {
				lines = append(lines, fmt.Sprintf("and %d more errors", len(res.Errors)-i))
				break
			}
			lines = append(lines, message(m, adjust))
		}
		return nil, fault.Text(fault.Invalid, "prepare", name, strings.Join(lines, "\n"))
	}
	if len(res.OutputFiles) != 1 {
		return nil, fault.Text(fault.Internal, "prepare", name, fmt.Sprintf("it became %d files", len(res.OutputFiles)))
	}
	return res.OutputFiles[0].Contents, nil
}

// environment is esbuild's way to say where the script will run.
var environment = regexp.MustCompile(` in the configured target environment \([^)]*\)`)

func message(m api.Message, adjust func(*api.Location) string) string {
	text := environment.ReplaceAllString(m.Text, " here")
	l := m.Location
	if l == nil {
		return text
	}
	if adjust != nil {
		if other := adjust(l); other != "" {
			text = other
		}
		if l.Line == 1 {
			l.Column = max(l.Column-len(opening), 0)
		}
	}
	return fmt.Sprintf("%s:%d:%d: %s", l.File, l.Line, l.Column+1, text)
}
