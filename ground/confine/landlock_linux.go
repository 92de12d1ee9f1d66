package confine

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// What the versions (ABIs) of Landlock can hold, see landlock(7).
const (
	abiFiles  = 3 // truncation too, without which read-only is not: Linux 6.2
	abiPorts  = 4 // Linux 6.7
	abiIoctl  = 5 // Linux 6.10
	abiScopes = 6 // Linux 6.12
)

const (
	rightsRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsExec  = rightsRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	rightsWrite = rightsRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// rightsAll are denied where nothing allows them. Device nodes are never made.
	rightsAll = rightsExec | rightsWrite | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	// rightsFile are those that a single file can have.
	rightsFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// Read by most programs; what is not there is left out.
var (
	readByMost = []string{
		"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
		"/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/mime.types",
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/ld.so.cache", "/run/systemd/resolve",
		"/usr/share/zoneinfo", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/mime",
		"/proc", "/dev/random", "/dev/urandom", "/sys/kernel/mm/transparent_hugepage",
	}
	writtenByMost = []string{"/dev/null", "/dev/zero", "/dev/full"}
	libraries     = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"}
)

// landlockABI returns the kernel's version of Landlock, if it is new enough for the rules.
func landlockABI(l *Landlock) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, fault.New(fault.Invalid, "use Landlock", "", errno).
			WithHint("it needs Linux 6.2 with Landlock among its security modules: see /sys/kernel/security/lsm")
	}
	if l.rulesPorts() {
		if err := canFilter(); err != nil {
			return 0, err
		}
	}
	return int(n), enoughABI(l, int(n))
}

func (l *Landlock) rulesPorts() bool { return l.BindPorts != nil || l.ConnectPorts != nil }

func enoughABI(l *Landlock, abi int) error {
	need, what := abiFiles, "read-only paths"
	if l.rulesPorts() {
		need, what = abiPorts, "ports"
	}
	if abi < need {
		return fault.Text(fault.Invalid, "use Landlock", "", fmt.Sprintf("for %s its version must be %d, this kernel has %d", what, need, abi)).
			WithHint("version 3 came with Linux 6.2, version 4 with Linux 6.7")
	}
	return nil
}

// restrict binds this thread and all that follows from it.
func (l *Landlock) restrict(abi int, program string) (op string, err error) {
	attr := l.attr(abi)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return "make Landlock rules", errno
	}
	defer unix.Close(int(fd))
	rules := ruleset{fd: fd, handled: attr.Handled_access_fs}
	if path, err := rules.addPaths(l, program); err != nil {
		return "allow path " + path, err
	}
	for _, p := range []struct {
		ports []uint16
		right uint64
	}{{l.BindPorts, unix.LANDLOCK_ACCESS_NET_BIND_TCP}, {l.ConnectPorts, unix.LANDLOCK_ACCESS_NET_CONNECT_TCP}} {
		for _, port := range p.ports {
			if err := rules.addPort(port, p.right); err != nil {
				return fmt.Sprintf("allow port %d", port), err
			}
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return "set Landlock rules", errno
	}
	if l.rulesPorts() {
		return "", refuseMultipath()
	}
	return "", nil
}

func (l *Landlock) attr(abi int) (a unix.LandlockRulesetAttr) {
	a.Handled_access_fs = rightsAll
	if abi < abiIoctl {
		a.Handled_access_fs &^= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if l.BindPorts != nil {
		a.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_BIND_TCP
	}
	if l.ConnectPorts != nil {
		a.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= abiScopes {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return a
}

// ruleset is one that is being made.
type ruleset struct {
	fd      uintptr
	handled uint64
}

// addPaths allows what the rules list, the program itself and what most programs read.
func (r ruleset) addPaths(l *Landlock, program string) (path string, err error) {
	exec, read := []string{program}, readByMost
	if ld := loader(program); ld != "" {
		exec, read = append(exec, ld), append(read[:len(read):len(read)], libraries...)
	}
	for _, g := range []struct {
		paths    []string
		rights   uint64
		optional bool
	}{
		{exec, rightsExec, false}, {l.Executable, rightsExec, false},
		{l.ReadOnly, rightsRead, false}, {l.ReadWrite, rightsWrite, false},
		{read, rightsRead, true}, {writtenByMost, rightsWrite, true},
	} {
		for _, path := range g.paths {
			err := r.addPath(path, g.rights)
			if err != nil && !(g.optional && errors.Is(err, os.ErrNotExist)) {
				return path, err
			}
		}
	}
	return "", nil
}

func (r ruleset) addPath(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsFile
	}
	// The kernel's struct is packed: 8 bytes of rights and 4 of the descriptor. Go's has the
	// same offsets.
	a := unix.LandlockPathBeneathAttr{Allowed_access: rights & r.handled, Parent_fd: int32(fd)}
	return r.add(unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&a))
}

func (r ruleset) addPort(port uint16, right uint64) error {
	const ruleNetPort = 2 // LANDLOCK_RULE_NET_PORT
	a := struct{ allowed, port uint64 }{right, uint64(port)}
	return r.add(ruleNetPort, unsafe.Pointer(&a))
}

func (r ruleset) add(kind uintptr, attr unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, r.fd, kind, uintptr(attr), 0, 0, 0)
	if errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}
