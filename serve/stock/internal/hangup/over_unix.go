//go:build unix

package hangup

import "golang.org/x/sys/unix"

const supported = true

func isOver(fd uintptr) bool {
	// Both are told without being asked for.
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
