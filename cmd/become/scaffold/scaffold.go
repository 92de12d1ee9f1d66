package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/universal-server/become/ground/fault"
)

// Become is the module that the new one needs.
const Become = "github.com/universal-server/become"

//go:embed api
var files embed.FS

// Module says what is to be made.
type Module struct {
	// Dir is where; it is made if there is none.
	Dir string
	// Name is the API's: letters, digits, '_' and '-'.
	Name string
	// Path is the module's, as in example.com/crunch.
	Path string
	// Version of become that it needs, as in v1.2.3; or Replace, the folder of its sources.
	Version, Replace string
}

var (
	goodName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	goodPath = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9][A-Za-z0-9._~-]*)*$`)
)

// Write makes the module and lets go complete it. fault.Invalid for a name that cannot be, fault.Conflict when the folder holds
// something, fault.Remote for what go says.
func Write(ctx context.Context, m Module) (err error) {
	const op = "make module"
	switch {
	case !goodName.MatchString(m.Name):
		return fault.Text(fault.Invalid, op, m.Name, "a name is letters, digits, '_' and '-', a letter first")
	case !goodPath.MatchString(m.Path):
		return fault.Text(fault.Invalid, op, m.Path, "it is no module path; want one as in example.com/"+m.Name)
	}
	if m.Replace != "" {
		if m.Replace, err = filepath.Abs(m.Replace); err != nil {
			return fault.New(fault.Invalid, op, m.Name, err)
		}
	}
	made, err := claim(m.Dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			sweep(m.Dir, made)
		}
	}()
	if err := m.write(); err != nil {
		return fault.New(fault.KindOf(err), op, m.Name, err)
	}
	return m.complete(ctx)
}

// claim makes the folder, or makes sure that it is empty; made says that there was none.
func claim(dir string) (made bool, err error) {
	all, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return false, fault.New(fault.Denied, "make folder", dir, err)
		}
		return true, nil
	case err != nil:
		return false, fault.New(fault.Invalid, "make folder", dir, err)
	case len(all) > 0:
		return false, fault.Text(fault.Conflict, "make folder", dir, "it holds something already").WithHint("take another name or folder")
	}
	return false, nil
}

// sweep removes what was written; the folder was empty or not there.
func sweep(dir string, made bool) {
	if made {
		os.RemoveAll(dir)
		return
	}
	all, _ := os.ReadDir(dir)
	for _, one := range all {
		os.RemoveAll(filepath.Join(dir, one.Name()))
	}
}

func (m Module) write() error {
	return fs.WalkDir(files, "api", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Parse(string(text))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, m); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".tmpl")
		if name == "gitignore" {
			name = "." + name
		}
		return os.WriteFile(filepath.Join(m.Dir, name), out.Bytes(), 0o666)
	})
}

// complete writes go.sum, and what else the module needs.
func (m Module) complete(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "tidy")
	cmd.Dir = m.Dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fault.New(fault.KindOf(ctx.Err()), "complete module", m.Path, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return fault.Text(fault.NotFound, "complete module", m.Path, "go is not installed").WithHint("see https://go.dev/dl")
	}
	return fault.Text(fault.Remote, "complete module", m.Path, lastLine(said.String()))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
