package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine/js/prepare"
)

// code is a bundle that was made from something on this machine.
type code struct {
	manifest bundle.Manifest
	open     bundle.Code
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// scripts are the extensions of what prepare reads.
var scripts = []string{".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"}

func isScript(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	for _, s := range scripts {
		if ext == s {
			return true
		}
	}
	return false
}

// isPath reports whether an argument can only be, or is, a file or folder.
func isPath(s string) bool {
	if isScript(s) || strings.HasSuffix(s, ".go") || strings.ContainsAny(s, `/\`) || s == "." || s == ".." {
		return true
	}
	_, err := os.Stat(s)
	return err == nil
}

// load makes a bundle of a script, an executable or a Go package, and
// describes it.
func (a *app) load(ctx context.Context, path string) (*code, error) {
	if isScript(path) {
		return a.loadScript(ctx, path)
	}
	program, err := a.program(ctx, path)
	if err != nil {
		return nil, err
	}
	return a.loadProgram(ctx, program)
}

// loadExpression makes a bundle of a function typed at the shell.
func loadExpression(expr string) (*code, error) {
	script, err := prepare.Expression(expr)
	if err != nil {
		return nil, err
	}
	return scriptCode("expression", script, []bundle.Export{{Name: "default"}})
}

func (a *app) loadScript(ctx context.Context, path string) (*code, error) {
	script, err := prepare.File(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	exports, err := describeScript(ctx, filepath.Base(path), script)
	if err != nil {
		return nil, err
	}
	return scriptCode(name, script, exports)
}

func scriptCode(name string, script []byte, exports []bundle.Export) (*code, error) {
	digest, size, err := bundle.Digest(bytes.NewReader(script))
	if err != nil {
		return nil, err
	}
	m := bundle.Manifest{Digest: digest, Kind: bundle.JS, Name: name, Size: size, Exports: exports}
	return &code{m, bundle.Text(string(script))}, nil
}

// describeWithin is how long code may take to say what it offers.
const describeWithin = 10 * time.Second

// describeScript asks a process of its own, which a script may take all memory of.
func describeScript(ctx context.Context, name string, script []byte) ([]bundle.Export, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := ask(ctx, name, self, inspectEnv+"="+name, script)
	if err != nil {
		return nil, err
	}
	var seen inspection
	if err := json.Unmarshal(out, &seen); err != nil {
		return nil, fault.New(fault.Internal, "describe", name, err)
	}
	if seen.Error != "" {
		text := strings.TrimPrefix(seen.Error, "cannot open "+name+": ")
		return nil, fault.Text(fault.Invalid, "open", name, text).WithHint(seen.Hint)
	}
	return seen.Exports, nil
}

// describeEnv makes a program that imports become print what it offers.
const describeEnv = "BECOME_DESCRIBE"

const modulePath = "github.com/universal-server/become"

func (a *app) loadProgram(ctx context.Context, path string) (*code, error) {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	goos, goarch, err := platform(path)
	if err != nil {
		return nil, err
	}
	m := bundle.Manifest{Kind: bundle.Native, Name: name, GOOS: goos, GOARCH: goarch}
	if !m.RunsHere() {
		return nil, fault.Text(fault.Invalid, "describe", path, "it is a program for "+m.Platform()+", which this machine cannot run").
			WithHint("deploy it from a machine of that kind")
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	out, err := ask(ctx, name, full, describeEnv+"=1", nil)
	if err != nil {
		return nil, err
	}
	var offers struct { // as the program's become.Init prints it
		Exports  []bundle.Export
		Services []bundle.Service
	}
	if err := json.Unmarshal(out, &offers); err != nil {
		return nil, fault.Text(fault.Invalid, "describe", path, "it does not say what it offers").
			WithHint("its main function must begin with become.Main, become.Serve or become.Init")
	}
	m.Exports, m.Services = offers.Exports, offers.Services
	if m.Digest, m.Size, err = bundle.FileDigest(full); err != nil {
		return nil, err
	}
	return &code{m, bundle.File(full)}, nil
}

// platform returns what a program was built for. It refuses a program that does not import become:
// to ask it what it offers would be to run it.
func platform(path string) (goos, goarch string, err error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", "", fault.Text(fault.NotFound, "describe", path, "there is no such file")
		}
		return "", "", fault.Text(fault.Invalid, "describe", path, "it is no Go program").
			WithHint("give a .js or .ts file, a Go package, or an executable built from one that imports become")
	}
	uses := info.Main.Path == modulePath || strings.HasPrefix(info.Main.Path, modulePath+"/")
	for _, d := range info.Deps {
		uses = uses || d.Path == modulePath
	}
	if !uses {
		return "", "", fault.Text(fault.Invalid, "describe", path, "it does not import become").
			WithHint("import " + modulePath + " and call become.Main in its main function")
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			goos = s.Value
		case "GOARCH":
			goarch = s.Value
		}
	}
	return goos, goarch, nil
}

// maxDescription bounds what a program may answer.
const maxDescription = 8 << 20

// ask runs a program for a short while and returns what it prints.
func ask(ctx context.Context, name, path, env string, input []byte) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	cmd := exec.CommandContext(bounded, path)
	cmd.Env = append(withoutBecome(os.Environ()), env)
	cmd.Stdin = bytes.NewReader(input)
	stdout, stderr := &bounds{max: maxDescription}, &bounds{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil && stdout.full:
		return nil, fault.Text(fault.Invalid, "describe", name, "its description is too long")
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fault.New(fault.KindOf(ctx.Err()), "describe", name, context.Cause(ctx))
	case bounded.Err() != nil:
		return nil, fault.Text(fault.Invalid, "describe", name, "it did not say what it offers within "+describeWithin.String()).
			WithHint("a program's main function must begin with become.Main, become.Serve or become.Init")
	}
	text := err.Error()
	if said := strings.TrimSpace(stderr.String()); said != "" {
		text = said
	}
	return nil, fault.Text(fault.Invalid, "describe", name, text)
}

// withoutBecome is an environment without what belongs to become.
func withoutBecome(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "BECOME_") {
			out = append(out, e)
		}
	}
	return out
}

// bounds keeps the first max bytes.
type bounds struct {
	bytes.Buffer
	max  int
	full bool
}

func (b *bounds) Write(p []byte) (int, error) {
	if room := b.max - b.Len(); room < len(p) {
		b.full = true
		b.Buffer.Write(p[:room])
	} else {
		b.Buffer.Write(p)
	}
	return len(p), nil
}

// barFrom is the size from which an upload shows a bar.
const barFrom = 4 << 20

// ship brings code into the fleet.
func (a *app) ship(ctx context.Context, s *session, c *code) error {
	if c.manifest.Size < barFrom || !terminal(a.err) {
		_, err := s.Ship(ctx, c.manifest, c.open, nil)
		return err
	}
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(a.err), mpb.WithWidth(48))
	var bar *mpb.Bar // made with the first byte: what is there already is not sent
	progress := func(sent, total int64) {
		if bar == nil {
			bar = bars.AddBar(total, mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name("uploading "+c.manifest.Name+" ")),
				mpb.AppendDecorators(decor.CountersKibiByte("% .0f / % .0f")))
		}
		bar.SetCurrent(sent)
	}
	_, err := s.Ship(ctx, c.manifest, c.open, progress)
	if bar != nil && err != nil {
		bar.Abort(true)
	}
	bars.Wait()
	return err
}

// functions are the names of what a bundle exports.
func functions(m bundle.Manifest) []string {
	names := make([]string, 0, len(m.Exports))
	for _, e := range m.Exports {
		names = append(names, e.Name)
	}
	return names
}
