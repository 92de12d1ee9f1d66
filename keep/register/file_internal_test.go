//go:build unix

package register

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// A process may die in the middle of writing a long number: the one that is there must not be touched.
func TestFile_ALongNumberIsNotWrittenOverTheOneThatIsThere(t *testing.T) {
	f, err := OpenFile(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := Uint(0)
	for _, digit := range "123456" {
		next, err := Parse(strings.Repeat(string(digit), 1000))
		if err != nil {
			t.Fatal(err)
		}
		active := f.active.Load() & 1
		before := bytes.Clone(f.slot(active))
		if got, err := CAS(t.Context(), f, now, next); got != now || err != nil {
			t.Fatalf("got %v, %v", got, err)
		}
		if f.active.Load()&1 == active || !bytes.Equal(f.slot(active), before) {
			t.Errorf("%c: the slot with the value before was written to", digit)
		}
		// What a process that died there has left says nothing.
		copy(f.slot(active), bytes.Repeat([]byte{0xff}, 100))
		if got, err := f.Swap(t.Context(), nil); got != next || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		now = next
	}
}
