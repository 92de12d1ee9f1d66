//go:build unix

package home

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// checkFolder refuses a folder in which somebody else could put things.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return refuse(fault.Invalid, dir, "it is no folder", "choose another path with "+Env)
	case !ok || int(st.Uid) != os.Geteuid():
		return refuse(fault.Denied, dir, "it belongs to another user", "choose another folder with "+Env)
	case info.Mode().Perm()&0o022 != 0:
		return refuse(fault.Denied, dir, "others may write to it", "run: chmod go-w "+dir)
	}
	return nil
}

// lockFile tries to lock an open file, exclusively or shared, without waiting.
func lockFile(f *os.File, exclusive bool) (taken bool, err error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	cerr := raw.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil && cerr == nil, errors.Join(err, cerr)
}
