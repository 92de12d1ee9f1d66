package confine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	orderEnv = "BECOME_CONFINE"
	maxOrder = 96 << 10 // bytes; Linux allows 128 KiB in one variable
)

// order is what the child does before it becomes the program.
type order struct {
	Path            string    `json:"path"`
	Report          int       `json:"report"` // descriptor
	NoNewPrivileges bool      `json:"no_new_privileges,omitempty"`
	Landlock        *Landlock `json:"landlock,omitempty"`
	ABI             int       `json:"abi,omitempty"`
	Rlimits         []rlimit  `json:"rlimits,omitempty"`
}

type rlimit struct {
	Name     string `json:"name"`
	Resource int    `json:"resource"`
	Value    uint64 `json:"value"`
	Max      uint64 `json:"max"` // the hard limit
}

func (o *order) add(name string, resource int, value int64) {
	if value != 0 {
		v := uint64(max(0, value))
		o.Rlimits = append(o.Rlimits, rlimit{name, resource, v, v})
	}
}

// init makes a process that has orders the one that it shall be: see the package's
// documentation. Every other process goes on. A set-user-ID program takes no orders from an environment.
func init() {
	if text, ok := syscall.Getenv(orderEnv); ok && syscall.Getuid() == syscall.Geteuid() {
		obey(text)
		syscall.Exit(1)
	}
}

// obey returns only if something failed, which it has reported then. Who cannot even read its orders has
// nobody to report to.
func obey(text string) {
	o, ok := readOrder(text)
	if !ok {
		return
	}
	unix.CloseOnExec(o.Report)
	op, err := o.obey()
	if data, jerr := json.Marshal(failureOf(op, err)); jerr == nil {
		unix.Write(o.Report, data)
	}
}

func readOrder(text string) (o order, ok bool) {
	err := json.Unmarshal([]byte(text), &o)
	return o, err == nil && o.Report > 2
}

func (o *order) obey() (op string, err error) {
	env := withoutOrder(syscall.Environ())
	if o.NoNewPrivileges || o.Landlock != nil {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return "set no_new_privs", err
		}
	}
	if o.Landlock != nil {
		if op, err := o.Landlock.restrict(o.ABI, o.Path); err != nil {
			return op, err
		}
	}
	// The limits come last: from here on this process itself may be over one.
	for _, l := range o.Rlimits {
		if err := unix.Prlimit(0, l.Resource, &unix.Rlimit{Cur: l.Value, Max: l.Max}, nil); err != nil {
			return fmt.Sprintf("limit %s to %d", l.Name, l.Value), err
		}
	}
	return "", execute(o.Path, env)
}

// execute tries again while the file is open for writing: see package process.
func execute(path string, env []string) (err error) {
	for wait := time.Millisecond; wait <= 256*time.Millisecond; wait *= 2 {
		if err = syscall.Exec(path, os.Args, env); !errors.Is(err, syscall.ETXTBSY) {
			return err
		}
		time.Sleep(wait)
	}
	return err
}

func withoutOrder(env []string) []string {
	kept := make([]string, 0, len(env))
	for _, one := range env {
		if !strings.HasPrefix(one, orderEnv+"=") {
			kept = append(kept, one)
		}
	}
	return kept
}

// loader returns the program that the kernel starts in place of an ELF file, as the file says,
// or "" if it needs none or is no such file of this machine.
func loader(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	// The layout is that of elf(5), for 64 bits: e_phoff, e_phentsize and e_phnum at 32, 54 and 56;
	// in a program header p_type, p_offset and p_filesz at 0, 8 and 32.
	const interp, headerSize = 3, 56
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:5]) != "\x7fELF\x02" {
		return ""
	}
	order := binary.NativeEndian
	at, n := int64(order.Uint64(head[32:])), order.Uint16(head[56:])
	if order.Uint16(head[54:]) != headerSize {
		return ""
	}
	for i := range int64(n) {
		var h [headerSize]byte
		if _, err := f.ReadAt(h[:], at+i*headerSize); err != nil {
			return ""
		}
		if order.Uint32(h[:]) == interp {
			name := make([]byte, min(order.Uint64(h[32:]), unix.PathMax))
			if _, err := f.ReadAt(name, int64(order.Uint64(h[8:]))); err != nil && !errors.Is(err, io.EOF) {
				return ""
			}
			return strings.TrimRight(string(name), "\x00")
		}
	}
	return ""
}
