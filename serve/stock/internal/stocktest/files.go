package stocktest

import (
	"os"
	"runtime"
	"testing"
)

// Files returns how many descriptors this process has open, and skips the test where that cannot
// be known.
func Files(t testing.TB) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
