//go:build unix

package static_test

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestHandler_APipeHoldsUpNobody(t *testing.T) {
	dir := tree(t, map[string]string{"f.txt": "f"})
	for _, name := range []string{"pipe", "f.txt.gz", "index.html"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	base := start(t, dir, nil)
	for path, want := range map[string]int{"/pipe": 404, "/": 404, "/f.txt": 200} {
		if res, _ := get(t, "GET", base+path, "Accept-Encoding: gzip"); res.StatusCode != want {
			t.Errorf("%s: got %d", path, res.StatusCode)
		}
	}
}
