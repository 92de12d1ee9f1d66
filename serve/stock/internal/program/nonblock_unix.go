//go:build unix

package program

import "syscall"

func setNonblock(fd uintptr, on bool) error { return syscall.SetNonblock(int(fd), on) }
