package reexec

import (
	"os"

	"golang.org/x/sys/unix"
)

func onMainThread() bool { return unix.Gettid() == os.Getpid() }

// memory returns a file that is on no disk.
func memory() (*os.File, error) {
	fd, err := unix.MemfdCreate("become-state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "state"), nil
}
