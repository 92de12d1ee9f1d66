package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// copies are executables as they were when they were asked to serve, in a folder of their own: what
// stands at their path may change.
type copies struct {
	dir  string
	used []string // the one that serves, and the one that comes back if that is undone
}

// of returns the path of a new copy of an executable.
func (c *copies) of(path string) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.CreateTemp(c.dir, filepath.Base(path)+"-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o700), out.Close())
	if err != nil {
		os.Remove(out.Name())
	}
	return out.Name(), err
}

// keep removes the copies that are no longer needed once next was deployed in the place of before, or
// was not.
func (c *copies) keep(before, next string, deployed bool) {
	old := []string{next}
	if deployed {
		old, c.used = c.used, []string{before, next}
	}
	for _, path := range old {
		if filepath.Dir(path) == c.dir && !slices.Contains(c.used, path) {
			os.Remove(path) // it is in the way of nobody, and the folder is removed at the end
		}
	}
}
