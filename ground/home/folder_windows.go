package home

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"github.com/universal-server/become/ground/fault"
)

// checkFolder refuses what is no folder. Who may write to one is left to the
// access lists of the user's profile here.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return refuse(fault.Invalid, dir, "it is no folder", "choose another path with "+Env)
	}
	return err
}

// lockFile tries to lock an open file, exclusively or shared, without waiting. The
// lock covers one byte far behind the content: Windows would keep others from
// reading what is locked.
func lockFile(f *os.File, exclusive bool) (taken bool, err error) {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}
