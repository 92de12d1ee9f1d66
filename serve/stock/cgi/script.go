package cgi

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/internal/program"
)

// script is what answers a request.
type script struct {
	file string // absolute
	name string // SCRIPT_NAME: its path in URLs, or "" for the one that answers all
	info string // PATH_INFO
}

// place is where scripts are: one file, or a folder.
type place struct {
	file string // the one script, or ""
	dir  string // absolute
	root *os.Root
}

func newPlace(path string) (place, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		dir, err := filepath.Abs(path)
		if err != nil {
			return place{}, fault.New(fault.Internal, "serve scripts in", path, err)
		}
		root, err := os.OpenRoot(dir)
		if errors.Is(err, fs.ErrPermission) {
			return place{}, fault.New(fault.Denied, "serve scripts in", path, err)
		} else if err != nil {
			return place{}, fault.New(fault.Internal, "serve scripts in", path, err)
		}
		return place{dir: dir, root: root}, nil
	}
	if !strings.ContainsRune(path, os.PathSeparator) && path != "" {
		path = "." + string(os.PathSeparator) + path // a file here, not one of PATH
	}
	file, err := program.Find(path)
	return place{file: file}, err
}

// errDenied says that a file is there which is no script.
var errDenied = errors.New("it is not executable: chmod +x makes it a script")

// find returns the script for the path of a URL. fs.ErrNotExist when there is none, errDenied
// with the name of a file that is not executable.
func (p place) find(path string) (script, error) {
	if p.file != "" {
		return script{file: p.file, info: path}, nil
	}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return script{}, fs.ErrNotExist
	}
	name := ""
	for element := range strings.SplitSeq(rest, "/") {
		// No "", "." and "..", nothing hidden, nothing that means more than a name to this system.
		if element == "" || element[0] == '.' || strings.ContainsRune(element, '\\') {
			break
		}
		name += "/" + element
		local, err := filepath.Localize(name[1:])
		if err != nil {
			break
		}
		info, err := p.root.Stat(local)
		switch {
		case err != nil:
			return script{}, fs.ErrNotExist
		case info.IsDir():
			continue
		case !info.Mode().IsRegular():
			return script{}, fs.ErrNotExist
		case info.Mode()&0o111 == 0:
			return script{file: filepath.Join(p.dir, local)}, errDenied
		}
		return script{file: filepath.Join(p.dir, local), name: name, info: path[len(name):]}, nil
	}
	return script{}, fs.ErrNotExist
}

func (p place) close() {
	if p.root != nil {
		p.root.Close()
	}
}
