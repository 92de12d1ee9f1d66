//go:build unix

package main

import (
	"os"
	"syscall"
)

// upgradeSignal asks become to be replaced by the version that is installed now; nginx has the same.
var upgradeSignal os.Signal = syscall.SIGUSR2
