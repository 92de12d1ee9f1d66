//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// sharesTerminal reports whether Ctrl-C reaches this process and its child alike:
// it is in the foreground of a terminal.
func sharesTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
