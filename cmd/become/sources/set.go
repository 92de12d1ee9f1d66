package sources

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// Set is what a program is built from.
type Set struct {
	pkg, dir string   // how to ask again; empty for a file
	packages []string // folders: their Go files
	whole    []string // folders: everything in them
	modules  []place
	files    []string
	partly   bool // the compiler could not read all
}

// File is an executable by itself.
func File(path string) Set { return Set{files: []string{path}} }

// Of asks the Go compiler, run in dir, what a package is built from. What it cannot find is left out: the
// build will say so. fault.Invalid when it knows nothing at all.
func Of(ctx context.Context, pkg, dir string) (Set, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-e", "-json=ImportPath,Dir,Standard,Incomplete,Module,EmbedFiles", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = waitDelay
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return Set{}, fault.New(fault.KindOf(ctx.Err()), "list sources of", pkg, context.Cause(ctx))
		}
		return Set{}, fault.Text(fault.Invalid, "list sources of", pkg, strings.TrimSpace(stderr.String()+" "+err.Error()))
	}
	s := Set{pkg: pkg, dir: dir}
	var missing []string
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return Set{}, fault.New(fault.Internal, "list sources of", pkg, err)
		}
		s.add(p)
		if p.Dir == "" {
			missing = append(missing, p.ImportPath)
		}
	}
	s.expect(missing)
	if len(s.packages) == 0 {
		return Set{}, fault.Text(fault.Invalid, "list sources of", pkg, "there is no such package")
	}
	s.tidy()
	return s, nil
}

// listed is a package as go list tells it.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Incomplete bool // it, or what it imports
	EmbedFiles []string
	Module     *struct {
		Path    string
		Main    bool
		GoMod   string
		Replace *struct{ Version string }
	}
}

// ours says whether one edits the package: it is of the main module, or one in a folder takes its place.
func (p listed) ours() bool {
	switch {
	case p.Standard || p.Dir == "":
		return false
	case p.Module == nil || p.Module.Main:
		return true
	}
	return p.Module.Replace != nil && p.Module.Replace.Version == ""
}

func (s *Set) add(p listed) {
	if !p.ours() {
		return
	}
	s.packages = append(s.packages, p.Dir)
	s.partly = s.partly || p.Incomplete
	for _, f := range p.EmbedFiles {
		// New files beside it may match the pattern too.
		for dir := filepath.Dir(filepath.Join(p.Dir, f)); len(dir) > len(p.Dir); dir = filepath.Dir(dir) {
			s.whole = append(s.whole, dir)
		}
		s.files = append(s.files, filepath.Join(p.Dir, f))
	}
	if m := p.Module; m != nil && m.GoMod != "" {
		s.files = append(s.files, m.GoMod, filepath.Join(filepath.Dir(m.GoMod), "go.sum"))
		s.modules = append(s.modules, place{m.Path, filepath.Dir(m.GoMod)})
	}
}

// place is a module and its folder.
type place struct{ path, dir string }

// expect adds the folders of packages that are imported and not written yet.
func (s *Set) expect(missing []string) {
	for _, path := range missing {
		for _, m := range s.modules {
			if rest, ok := strings.CutPrefix(path, m.path+"/"); ok {
				s.packages = append(s.packages, filepath.Join(m.dir, rest))
			}
		}
	}
}

// with is both sets together.
func (s Set) with(other Set) Set {
	s.packages = slices.Concat(s.packages, other.packages)
	s.whole, s.files = slices.Concat(s.whole, other.whole), slices.Concat(s.files, other.files)
	s.tidy()
	return s
}

func (s *Set) tidy() {
	if work := workFile(s.dir); work != "" {
		s.files = append(s.files, work)
	}
	for _, list := range []*[]string{&s.packages, &s.whole, &s.files} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}

// workFile returns the go.work that is used in dir, if there is one.
func workFile(dir string) string {
	switch given := os.Getenv("GOWORK"); given {
	case "":
	case "off":
		return ""
	default:
		return given
	}
	for {
		path := filepath.Join(dir, "go.work")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Now describes the files as they are: the same again as long as nothing has changed.
func (s Set) Now() string {
	var b strings.Builder
	for _, dir := range s.packages {
		entries(&b, dir, compiled)
	}
	for _, dir := range s.whole {
		entries(&b, dir, func(string) bool { return true })
	}
	for _, path := range s.files {
		stat(&b, path)
	}
	return b.String()
}

// compiled says whether a file of a package's folder is built.
func compiled(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".s", ".syso":
		return !strings.HasSuffix(name, "_test.go") && name[0] != '.' && name[0] != '_'
	}
	return false
}

func entries(b *strings.Builder, dir string, wanted func(string) bool) {
	all, err := os.ReadDir(dir)
	if err != nil {
		fmt.Fprintf(b, "%s: none\n", dir)
	}
	for _, e := range all {
		if !wanted(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if e.IsDir() { // its own time changes with what is in it
			fmt.Fprintln(b, path)
		} else {
			stat(b, path)
		}
	}
}

func stat(b *strings.Builder, path string) {
	info, err := os.Stat(path)
	if err != nil {
		fmt.Fprintf(b, "%s: none\n", path)
		return
	}
	fmt.Fprintf(b, "%s: %d %d\n", path, info.Size(), info.ModTime().UnixNano())
}
