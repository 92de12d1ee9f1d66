package peers

import (
	"os"
	"time"
)

// Fsync appends n records of 512 bytes to a file in dir, each followed by an
// fsync, and returns how many there were per second: what the disk does for somebody who
// writes one thing at a time.
func Fsync(dir string, n int) (float64, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	record := make([]byte, 512)
	began := time.Now()
	for range n {
		if _, err := f.Write(record); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
