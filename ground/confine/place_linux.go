package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ownPrefix = "become-"
	// leafName is the group that this program moves to, out of the way: a group with controllers
	// for those below it holds no process itself, except the root.
	leafName = "become"
)

var controllers = []string{"cpu", "memory", "pids"}

// openOwn finds the place for this program's groups and makes their folder there.
func openOwn() (*own, error) {
	here, err := hereDir()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, place := range places(here) {
		o, err := openAt(place, place == here)
		if err == nil {
			return o, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// places are where groups may be: in the group of this program, or in the one above if that was
// given to this program, by systemd (DelegateSubgroup=) or by itself, moved to its leaf.
func places(here string) []string {
	above := filepath.Dir(here)
	if filepath.Base(here) == leafName || delegated(above) {
		return []string{above, here}
	}
	return []string{here}
}

// delegated reports whether systemd has left a group to the program in it: see systemd.resource-control(5).
func delegated(dir string) bool {
	for _, attr := range []string{"user.delegate", "trusted.delegate"} {
		var b [2]byte
		if n, err := unix.Getxattr(dir, attr, b[:]); err == nil && string(b[:n]) == "1" {
			return true
		}
	}
	return false
}

// hereDir returns the folder of this program's control group.
func hereDir() (string, error) {
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	if dir := groupDir(string(group), string(mounts)); dir != "" {
		return dir, nil
	}
	return "", errors.New("cgroup v2 is not mounted")
}

// groupDir combines /proc/self/cgroup, "0::/path" for version 2, with /proc/self/mountinfo,
// "id parent major:minor root mountpoint options ... - type source options"; see cgroups(7) and
// proc_pid_mountinfo(5).
func groupDir(group, mounts string) string {
	path, found := "", false
	for line := range strings.Lines(group) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path, found = p, true
		}
	}
	if !found || strings.Contains(path, "/..") { // outside of what we see
		return ""
	}
	for line := range strings.Lines(mounts) {
		left, right, _ := strings.Cut(line, " - ")
		fields := strings.Fields(left)
		if len(fields) < 5 || !strings.HasPrefix(right, "cgroup2 ") {
			continue
		}
		root, at := unescape(fields[3]), unescape(fields[4])
		rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
		if ok && (rest == "" || rest[0] == '/') {
			return filepath.Join(at, rest)
		}
	}
	return ""
}

// unescape undoes the kernel's \040 for spaces and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// openAt makes the folder in a place. If this program itself is there it moves out of the way.
func openAt(place string, here bool) (*own, error) {
	has, err := words(place, "cgroup.controllers")
	if err != nil {
		return nil, err
	}
	has = slices.DeleteFunc(has, func(c string) bool { return !slices.Contains(controllers, c) })
	if len(has) == 0 {
		return nil, fmt.Errorf("none of the controllers %s is to be had in %s", strings.Join(controllers, ", "), place)
	}
	if err := unix.Access(filepath.Join(place, "cgroup.subtree_control"), unix.W_OK); err != nil {
		return nil, fmt.Errorf("%s is not ours to divide: %w", place, err)
	}
	if here && !isRoot(place) {
		if err := moveOut(place); err != nil {
			return nil, err
		}
	}
	if has, err = enable(place, has); err != nil {
		return nil, err
	}
	removeStale(place)
	return lockedOwn(place, has)
}

// isRoot reports whether a group is the root of all, where processes and controllers may be together.
func isRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.type"))
	return errors.Is(err, fs.ErrNotExist)
}

// enable lets controllers count the groups below dir, and returns those that do. One may refuse, as
// that of CPU does while there are real-time processes.
func enable(dir string, list []string) (enabled []string, err error) {
	for _, c := range list {
		if werr := write(dir, "cgroup.subtree_control", "+"+c); werr != nil {
			err = fmt.Errorf("the controller %q does not start: %w", c, werr)
			continue
		}
		enabled = append(enabled, c)
	}
	if len(enabled) > 0 {
		err = nil
	}
	return enabled, err
}

func words(dir, file string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, file))
	return strings.Fields(string(b)), err
}

// lockedOwn makes the folder. It is there so that the controllers of the place cannot be turned off by
// others without notice, and that what is left of a dead program can be told: it is not locked.
func lockedOwn(place string, has []string) (*own, error) {
	for try := 0; ; try++ {
		o, err := tryOwn(place, has)
		if err == nil || !errors.Is(err, errStolen) || try > 10 {
			return o, err
		}
	}
}

var errStolen = errors.New("another program has removed our control group")

func tryOwn(place string, has []string) (*own, error) {
	dir, err := os.MkdirTemp(place, ownPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		unix.Rmdir(dir)
		return nil, errStolen // taken for a stale one before it was locked
	}
	o := &own{dir: dir, lock: lock, has: map[string]bool{}}
	has, err = enable(dir, has)
	for _, c := range has {
		o.has[c] = true
	}
	if err != nil {
		unix.Rmdir(dir)
		lock.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errStolen
		}
		return nil, err
	}
	return o, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// removeStale removes what dead programs left in a place, and kills what still runs there: nobody else would.
func removeStale(place string) {
	all, _ := filepath.Glob(filepath.Join(place, ownPrefix+"*"))
	for _, dir := range all {
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		write(dir, "cgroup.kill", "1")
		for wait := time.Millisecond; removeTree(dir) != nil && wait < 100*time.Millisecond; wait *= 2 {
			time.Sleep(wait) // until they are dead
		}
		lock.Close()
	}
}

// moveOut moves this program and its children to a leaf of their group. It fails if anybody else is there.
func moveOut(dir string) error {
	leaf := filepath.Join(dir, leafName)
	for range 10 { // children may start others meanwhile
		pids, err := members(dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if !descends(pid, os.Getpid()) {
				return fmt.Errorf("process %d is in our control group %s too", pid, dir)
			}
		}
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for _, pid := range pids {
			if err := write(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return fmt.Errorf("processes keep starting in %s", dir)
}

// descends reports whether a process is another one, or was started by it or by one that was. One that has
// ended is no stranger.
func descends(pid, from int) bool {
	for range 100 {
		if pid == from {
			return true
		}
		if pid <= 1 {
			return false
		}
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
		}
		// "pid (name) state ppid ...": the name may hold anything.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(fields) < 2 {
			return false
		}
		if pid, err = strconv.Atoi(string(fields[1])); err != nil {
			return false
		}
	}
	return false
}
