package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// Landlock knows the ports of TCP but not of Multipath TCP, which listeners of Go use when they can.
// So where ports are ruled, a filter for system calls (seccomp(2)) lets nobody make such a socket.

// architectures are those where a socket is made by one call, whose arguments a filter sees.
var architectures = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64,
}

func canFilter() error {
	if architectures[runtime.GOARCH] == 0 {
		return fault.Text(fault.Invalid, "rule ports", "", "not on "+runtime.GOARCH)
	}
	return nil
}

// refuseMultipath lets this thread and all that follows from it make no sockets of Multipath TCP,
// neither directly nor through io_uring; nor by system calls of another architecture, which the
// processor may know too.
func refuseMultipath() error {
	const (
		number, arch, third = 0, 4, 32 // offsets in struct seccomp_data; the third argument, its low half

		load, equal, atLeast, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_RET | unix.BPF_K

		x32 = 0x40000000 // begins another set of numbers on amd64
	)
	// A jump's Jt and Jf count the instructions to leave out.
	filter := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: architectures[runtime.GOARCH], Jf: 6},
		{Code: load, K: number},
		{Code: atLeast, K: x32, Jt: 4},
		{Code: equal, K: unix.SYS_IO_URING_SETUP, Jt: 3},
		{Code: equal, K: unix.SYS_SOCKET, Jf: 4},
		{Code: load, K: third},
		{Code: equal, K: unix.IPPROTO_MPTCP, Jt: 1, Jf: 2},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	runtime.KeepAlive(filter)
	return nil
}
