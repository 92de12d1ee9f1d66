package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// group is the control group of one process. It exists until remove.
type group struct {
	dir string
	own *own
}

// own is the folder of this program's groups; it exists as long as one of them does.
type own struct {
	dir    string
	has    map[string]bool // controllers
	lock   *os.File        // held; the folder of a dead program is not locked
	groups int
}

// mine is the folder in use, or nil, and how many groups were made.
var mine struct {
	sync.Mutex
	own  *own
	last int
}

// newGroup makes a group with limits for what controllers count; nil if there is no limit.
func newGroup(l Limits) (*group, error) {
	if l == (Limits{}) {
		return nil, nil
	}
	mine.Lock()
	defer mine.Unlock()
	if mine.own == nil {
		o, err := openOwn()
		if err != nil {
			return nil, err
		}
		mine.own = o
	}
	g, err := mine.own.add(l)
	if err != nil {
		mine.own.closeIfEmpty()
	}
	return g, err
}

func (o *own) add(l Limits) (*group, error) {
	mine.last++
	g := &group{dir: filepath.Join(o.dir, strconv.Itoa(mine.last)), own: o}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	if err := g.limit(l); err != nil {
		unix.Rmdir(g.dir)
		return nil, err
	}
	o.groups++
	return g, nil
}

// closeIfEmpty is for whoever holds mine.
func (o *own) closeIfEmpty() {
	if o.groups == 0 {
		unix.Rmdir(o.dir)
		o.lock.Close()
		mine.own = nil
	}
}

// cpuPeriod is the kernel's default.
const cpuPeriod = 100 * time.Millisecond

func (g *group) limit(l Limits) error {
	if _, err := os.Stat(filepath.Join(g.dir, "cgroup.kill")); err != nil {
		return fmt.Errorf("this kernel's control groups cannot be killed: %w", err)
	}
	for _, c := range []struct {
		on                      bool
		controller, file, value string
	}{
		{l.Memory > 0, "memory", "memory.max", strconv.FormatInt(l.Memory, 10)},
		{l.CPU > 0, "cpu", "cpu.max", fmt.Sprintf("%d %d", int64(l.CPU*float64(cpuPeriod.Microseconds())), cpuPeriod.Microseconds())},
		{l.Tasks > 0, "pids", "pids.max", strconv.Itoa(l.Tasks)},
	} {
		if !c.on {
			continue
		}
		if !g.own.has[c.controller] {
			return fmt.Errorf("the controller %q is not to be had in %s", c.controller, filepath.Dir(g.own.dir))
		}
		if err := write(g.dir, c.file, c.value); err != nil {
			return err
		}
	}
	if l.Memory > 0 {
		// Else the limit is one of memory that is not swapped out. Without swap there is no such file.
		if err := write(g.dir, "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// write writes a file of a group, which exists. The kernel takes a value by one write.
func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func (g *group) kill() { write(g.dir, "cgroup.kill", "1") }

// running lists the processes of the group and of those below it.
func (g *group) running() (pids []int) {
	filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			list, _ := members(path)
			pids = append(pids, list...)
		}
		return nil
	})
	return pids
}

// members lists the processes that are in a group itself. Those of another pid namespace are 0.
func members(dir string) (pids []int, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for f := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// outOfMemory reports whether the kernel killed somebody for the group's limit.
func (g *group) outOfMemory() bool {
	b, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	return err == nil && keyed(string(b), "oom_kill") > 0
}

// keyed reads a number from lines of "key number".
func keyed(text, key string) (n int64) {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	return n
}

// remove removes the group and what its process has made below it. One that is not empty stays, for
// the next program.
func (g *group) remove() {
	mine.Lock()
	defer mine.Unlock()
	removeTree(g.dir)
	g.own.groups--
	g.own.closeIfEmpty()
}

// removeTree removes a folder of groups, as far as they are empty.
func removeTree(dir string) error {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	return unix.Rmdir(dir)
}
