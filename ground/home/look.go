package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// Info is what there is to say of a home from outside.
type Info struct {
	Dir string `json:"dir"`
	// ID is the node's; empty before the first.
	ID string `json:"id,omitempty"`
	// Node is how to reach the node that runs in it; nil when none does.
	Node  *Contact `json:"node,omitempty"`
	Parts []Part   `json:"parts"`
}

// Part is a file or folder of a home, with what is in it.
type Part struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	About string `json:"about"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// parts are all that a home may have, and what each is for.
var parts = []struct{ name, about string }{
	{markerName, "says that the folder is a home"},
	{lockName, "locked while a node runs"},
	{aliveName, "locked while " + nodeName + " is true"},
	{nodeName, "how to reach the node that runs"},
	{idName, "the node's id"},
	{"key", "the fleet's key"},
	{"address", "where the bus listened last"},
	{"bus", "the embedded bus: names, services, jobs, code, values"},
	{"cache", "code that ran here"},
	{"logs", "what processes printed"},
	{"runs", "the history of services' processes"},
	{"tls", "self-made certificates"},
	{runName, "sockets"},
	{awayName, "where the sockets are instead"},
}

// Look describes the home in a folder and changes nothing. fault.NotFound when there is no folder, fault.Invalid when it is no
// home, fault.Denied when somebody else could write to it. When it cannot be known whether a node runs, that is the error, and the rest is there.
func Look(dir string) (Info, error) {
	const op = "look at home"
	dir, err := located(op, dir)
	if err != nil {
		return Info{Dir: dir}, err
	}
	info := Info{Dir: dir, Parts: []Part{}}
	if b, err := os.ReadFile(filepath.Join(dir, idName)); err == nil {
		info.ID = strings.TrimSpace(string(b))
	}
	c, ok, err := Find(dir)
	if ok {
		info.Node = &c
	}
	for _, p := range parts {
		path := filepath.Join(dir, p.name)
		if _, err := os.Lstat(path); err == nil {
			files, bytes := measure(path)
			info.Parts = append(info.Parts, Part{p.name, path, p.about, files, bytes})
		}
	}
	if err != nil {
		return info, reworded(op, dir, err)
	}
	return info, nil
}

// located returns the whole path of a home that is there.
func located(op, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		_, err = os.Stat(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return dir, fault.Text(fault.NotFound, op, dir, "there is no such folder").WithHint("become home create " + dir)
	}
	if err == nil {
		err = checkFolder(dir)
	}
	if err != nil {
		return dir, reworded(op, dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, markerName)); errors.Is(err, fs.ErrNotExist) {
		return dir, fault.Text(fault.Invalid, op, dir, "it is no home of become")
	}
	return dir, claim(dir)
}

// reworded is the reason of an error, as that of another operation.
func reworded(op, dir string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.New(f.Kind, op, dir, f.Err).WithHint(f.Hint)
	}
	kind := fault.KindOf(err)
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	return fault.New(kind, op, dir, err)
}

// measure counts what is in a folder, or a file itself. What vanishes meanwhile does not count.
func measure(path string) (files int, bytes int64) {
	filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			files++
			bytes += info.Size()
		}
		return nil
	})
	return files, bytes
}

// Destroy removes a home with all that is in it, the fleet's key, jobs and code too. It touches nothing in a folder
// that is no home, in which a node runs, or in which something lies that is not the home's. Interrupted, it can be
// called again.
//
// Errors: those of Look, fault.Busy while a node runs, fault.Conflict when something else lies in it.
func Destroy(dir string) error {
	const op = "destroy home"
	dir, err := located(op, dir)
	if err != nil {
		return err
	}
	lock, err := takeLock(dir)
	if err != nil {
		return reworded(op, dir, err)
	}
	defer lock.Close() // when it is gone, so that nobody opens what is being removed
	if err = destroy(dir); err == nil {
		if runtime.GOOS == "windows" { // an open file stays
			lock.Close()
		}
		err = errors.Join(removeIfThere(filepath.Join(dir, markerName)), removeIfThere(filepath.Join(dir, lockName)))
	}
	if err == nil {
		err = os.Remove(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // ErrExist: somebody has made another home meanwhile
		return reworded(op, dir, err)
	}
	return nil
}

// destroy removes all but what says that it is a home, and its lock.
func destroy(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == markerName || name == lockName:
		case isPart(name):
			names = append(names, name)
		default:
			return fault.Text(fault.Conflict, "", "", "there is something in it that is not the home's: "+name).WithHint("move it elsewhere first")
		}
	}
	if err := (&Home{dir: dir}).removeAway(); err != nil {
		return err
	}
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	return err
}

// isPart says whether a file or folder is a home's, finished or not.
func isPart(name string) bool {
	for i := range parts {
		part := parts[i].name
		if name == part || strings.HasPrefix(name, part+".") && strings.HasSuffix(name, ".tmp") {
			return true
		}
	}
	return strings.HasPrefix(name, ".key-") // see key.Write
}
