//go:build unix

package inetd

import "syscall"

func setNonblock(fd uintptr, on bool) error { return syscall.SetNonblock(int(fd), on) }
