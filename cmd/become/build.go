package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// program returns the path of an executable: what is given, or what the Go
// compiler makes of it.
func (a *app) program(ctx context.Context, what string) (string, error) {
	info, err := os.Stat(what)
	switch {
	case err == nil && info.Mode().IsRegular() && !strings.HasSuffix(what, ".go"):
		if info.Mode().Perm()&0o111 == 0 && filepath.Ext(what) != ".exe" {
			return "", fault.Text(fault.Invalid, "run", what, "it is neither an executable nor a Go package").
				WithHint("a function in a .js file is called with: become call FILE.js#function")
		}
		return filepath.Abs(what)
	case err != nil && (strings.HasPrefix(what, ".") || filepath.IsAbs(what)) && !strings.Contains(what, "..."):
		return "", fault.Text(fault.NotFound, "find", what, "there is no such file or folder")
	}
	return a.build(ctx, what)
}

// build compiles a Go package into the user's cache. The same sources give
// the same bytes, so that a fleet gets them once.
func (a *app) build(ctx context.Context, what string) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", fault.Text(fault.NotFound, "build", what, "there is no Go compiler in PATH").WithHint("install Go from https://go.dev/dl, or give an executable")
	}
	pkg, dir, err := place(what)
	if err != nil {
		return "", err
	}
	out, err := buildPath(pkg, dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = a.err, a.err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fault.New(fault.KindOf(ctx.Err()), "build", what, context.Cause(ctx))
		}
		if _, ok := errors.AsType[*exec.ExitError](err); ok && isNowhere(what) {
			return "", fault.Text(fault.NotFound, "find", what, "there is no such file, folder or package")
		} else if ok {
			return "", fault.Text(fault.Invalid, "build", what, "the compiler refuses it")
		}
		return "", fault.New(fault.Internal, "build", what, err)
	}
	if info, err := os.Stat(out); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", fault.Text(fault.Invalid, "build", what, "it is no program: its package is not main")
	}
	return out, nil
}

// isNowhere says of what the compiler has refused whether it is a mere word, of which there is no file.
func isNowhere(what string) bool {
	_, err := os.Stat(what)
	return err != nil && !strings.ContainsAny(what, `/\.`)
}

// place says where the compiler is to be run, and for which package. A folder of another module
// is built there; everything else here, so that errors name paths as people see them.
func place(what string) (pkg, dir string, err error) {
	here, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	info, err := os.Stat(what)
	if err != nil {
		return what, here, nil // an import path, or a mistake: the compiler says which
	}
	full, err := filepath.Abs(what)
	if err != nil {
		return "", "", err
	}
	folder := full
	if !info.IsDir() {
		folder = filepath.Dir(full)
	}
	if moduleOf(folder) == moduleOf(here) {
		if rel, err := filepath.Rel(here, full); err == nil {
			return "." + string(filepath.Separator) + rel, here, nil
		}
	}
	if info.IsDir() {
		return ".", full, nil
	}
	return filepath.Base(full), folder, nil
}

// moduleOf returns the folder of the module that dir is in, or "".
func moduleOf(dir string) string {
	for {
		if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && info.Mode().IsRegular() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// buildPath is where the program of a package goes: always the same place, so
// that the compiler need not link what has not changed.
func buildPath(pkg, dir string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fault.New(fault.Internal, "find", "the cache folder", err)
	}
	id := pkg
	name := filepath.Base(pkg)
	if strings.HasPrefix(pkg, ".") || strings.HasSuffix(pkg, ".go") {
		id = filepath.Join(dir, pkg)
		name = filepath.Base(id)
	}
	if n, _, ok := strings.Cut(name, "@"); ok {
		name = n
	}
	name = strings.TrimSuffix(name, ".go")
	sum := sha256.Sum256([]byte(id + "\x00" + os.Getenv("GOOS") + "\x00" + os.Getenv("GOARCH")))
	folder := filepath.Join(cache, "become", "build", hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fault.New(fault.Internal, "make", folder, err)
	}
	return filepath.Join(folder, name), nil
}
