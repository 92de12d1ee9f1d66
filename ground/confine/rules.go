package confine

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Rules say what a process may use and reach. The zero value leaves it as free as its
// parent.
type Rules struct {
	Limits Limits `json:"limits,omitzero"`
	// NoNewPrivileges lets the process and all that it starts never have more privileges than it has:
	// set-user-ID programs do not change the user, file capabilities give none.
	NoNewPrivileges bool `json:"no_new_privileges,omitempty"`
	// Landlock, if set, says what the process may reach. It means NoNewPrivileges too.
	Landlock *Landlock `json:"landlock,omitempty"`
}

// Limits bound what one process uses, together with all that it starts if a control group counts it.
// Zero leaves a limit as it is.
type Limits struct {
	// Memory in bytes, at least MinMemory. Swap is not to be had in addition. Over it the kernel
	// kills the largest process. Without a control group for memory the process is looked at every 50 ms, alone, and
	// killed when it holds more; in between RLIMIT_DATA stops it, and each that it starts, at 1 GiB more.
	Memory int64 `json:"memory,omitempty"`
	// CPU in cores: 0.5 is half of one. It needs a control group.
	CPU float64 `json:"cpu,omitempty"`
	// Tasks is how many threads there are at once, those of all its processes. It needs a control group:
	// RLIMIT_NPROC counts all processes of the user.
	Tasks int `json:"tasks,omitempty"`
	// OpenFiles is how many descriptors each process has open (RLIMIT_NOFILE).
	OpenFiles int `json:"open_files,omitempty"`
	// CPUSeconds is how much CPU time each process may use before it is sent SIGXCPU, and one second
	// later SIGKILL (RLIMIT_CPU).
	CPUSeconds int `json:"cpu_seconds,omitempty"`
	// CoreSize is how large a core dump may be, in bytes; negative means none (RLIMIT_CORE).
	CoreSize int64 `json:"core_size,omitempty"`
}

// Landlock lists what a process may reach beyond its own program and some files that most programs
// read (names of hosts and users, certificates, time zones, libraries, /proc, /dev/null). Everything
// else in the file system is denied. Paths are absolute, exist, and include what is below them.
//
// What is open at the start stays usable, as inherited sockets do. Unix sockets that have a path are
// not covered, nor is UDP. Since Linux 6.12 the process cannot signal processes outside, nor connect to their
// abstract sockets.
type Landlock struct {
	// ReadOnly paths can be read, ReadWrite paths also written, made and removed, Executable
	// paths read and executed. A program with a dynamic loader needs the loader's folders executable; those of the
	// process's own program are known.
	ReadOnly   []string `json:"read_only,omitempty"`
	ReadWrite  []string `json:"read_write,omitempty"`
	Executable []string `json:"executable,omitempty"`
	// BindPorts and ConnectPorts are the TCP ports that the process may bind and connect to. Nil
	// means any, an empty list none. With either there is neither Multipath TCP nor io_uring, and no program of
	// another architecture runs, as 32-bit ones.
	BindPorts    []uint16 `json:"bind_ports,omitzero"`
	ConnectPorts []uint16 `json:"connect_ports,omitzero"`
}

const (
	// MinMemory is the least Limits.Memory: 16 MiB. With less no program of Go starts.
	MinMemory = 16 << 20

	// dataSpare is for what programs map and hardly touch: 40 MB by the runtime of Go, 8 MB for
	// the stack of each thread of C.
	dataSpare = 1 << 30
	// watchEvery is how often a process is looked at that no control group counts.
	watchEvery = 50 * time.Millisecond

	maxMemory          = 1 << 50
	minTasks, minFiles = 16, 16
	minCPU, maxCPU     = 0.01, 4096
	maxPaths, maxPorts = 256, 1024
)

// Zero reports whether the rules restrict nothing.
func (r Rules) Zero() bool {
	return r.Limits == Limits{} && !r.NoNewPrivileges && r.Landlock == nil
}

// Clone returns a copy that shares nothing with the original.
func (r Rules) Clone() Rules {
	if r.Landlock != nil {
		l := *r.Landlock
		l.ReadOnly, l.ReadWrite, l.Executable = slices.Clone(l.ReadOnly), slices.Clone(l.ReadWrite), slices.Clone(l.Executable)
		l.BindPorts, l.ConnectPorts = slices.Clone(l.BindPorts), slices.Clone(l.ConnectPorts)
		r.Landlock = &l
	}
	return r
}

// Check says what is wrong with the rules in themselves. The errors are of kind fault.Invalid.
// Whether this machine can hold a process to them shows when it starts.
func (r Rules) Check() error {
	err := r.Limits.check()
	if err == nil && r.Landlock != nil {
		err = r.Landlock.check()
	}
	if err != nil {
		return fault.New(fault.Invalid, "confine process", "", err)
	}
	return nil
}

func (l Limits) check() error {
	switch {
	case l.Memory > maxMemory:
		return fmt.Errorf("%s of memory, the most is %s", Bytes(l.Memory), Bytes(maxMemory))
	case l.Memory != 0 && l.Memory < MinMemory:
		return fmt.Errorf("%s of memory, the least is %s", Bytes(l.Memory), Bytes(MinMemory))
	case l.CPU != 0 && !(l.CPU >= minCPU && l.CPU <= maxCPU): // not-a-number too
		return fmt.Errorf("%g cores, must be %g to %d", l.CPU, minCPU, maxCPU)
	case l.Tasks != 0 && (l.Tasks < minTasks || l.Tasks > math.MaxInt32):
		return fmt.Errorf("%d tasks, the least is %d", l.Tasks, minTasks)
	case l.OpenFiles != 0 && (l.OpenFiles < minFiles || l.OpenFiles > math.MaxInt32):
		return fmt.Errorf("%d open files, the least is %d", l.OpenFiles, minFiles)
	case l.CPUSeconds < 0:
		return fmt.Errorf("%d seconds of CPU time, must be above zero", l.CPUSeconds)
	}
	return nil
}

func (l *Landlock) check() error {
	n := 0
	for _, paths := range [][]string{l.ReadOnly, l.ReadWrite, l.Executable} {
		for _, path := range paths {
			if !filepath.IsAbs(path) {
				return fmt.Errorf("the path %q is not absolute", path)
			}
			n++
		}
	}
	if n > maxPaths {
		return fmt.Errorf("%d paths, the most is %d", n, maxPaths)
	}
	if n = len(l.BindPorts) + len(l.ConnectPorts); n > maxPorts {
		return fmt.Errorf("%d ports, the most is %d", n, maxPorts)
	}
	return nil
}

// Bytes writes a size for people: "256 MiB", "1 GiB", "1000 B".
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; n != 0 && n%1024 == 0 && i < len(units)-1; i++ {
		n /= 1024
	}
	return fmt.Sprintf("%d %s", n, units[i])
}
