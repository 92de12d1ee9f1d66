//go:build unix

package disk

import "golang.org/x/sys/unix"

// Free returns the bytes an ordinary user can still write below dir, or -1
// when that cannot be told.
func Free(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
