package logs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/logs"
)

// pages reads all that q selects, so many lines a page, and says how many pages that were.
func pages(t *testing.T, s *logs.Store, q logs.Query, size int) (got []string, count int) {
	t.Helper()
	var at logs.Position
	for more := true; more; count++ {
		n := 0
		next, again, err := s.Page(t.Context(), q, at, func(l logs.Line) bool {
			got = append(got, l.Text)
			n++
			return n < size
		})
		if err != nil {
			t.Fatal(err)
		}
		if again && next == at {
			t.Fatalf("the page after %v begins there too", at)
		}
		at, more = next, again
	}
	return got, count
}

func TestPage_GoesOnWhereTheLastEnded(t *testing.T) {
	dir := t.TempDir()
	opts := &logs.Options{MaxBytes: 1 << 20, SegmentBytes: 300}
	s := open(t, dir, opts)
	at := func(n int) time.Time { return time.Unix(int64(1000+600*n), 0).UTC() }
	for n, text := range numbers(0, 40) {
		if err := s.Append(logs.Line{Time: at(n), Text: text, PID: n % 2}); err != nil {
			t.Fatal(err)
		}
	}
	odd := func(l logs.Line) bool { return l.PID == 1 }
	for range 2 { // the second time from a fresh store, which has to learn the times
		for _, size := range []int{1, 3, 40, 41} {
			got, _ := pages(t, s, logs.Query{}, size)
			check(t, fmt.Sprint("all by ", size), got, numbers(0, 40))
			got, _ = pages(t, s, logs.Query{Since: at(30), Until: at(35)}, size)
			check(t, fmt.Sprint("between by ", size), got, numbers(30, 35))
			got, _ = pages(t, s, logs.Query{Match: odd, Until: at(4)}, size)
			check(t, fmt.Sprint("odd by ", size), got, []string{"line 1", "line 3"})
			got, _ = pages(t, s, logs.Query{Since: at(100)}, size)
			check(t, fmt.Sprint("nothing by ", size), got, nil)
		}
		s.Close()
		s = open(t, dir, opts)
	}
	s.Close()
	if _, _, err := s.Page(t.Context(), logs.Query{}, logs.Position{}, nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
}

// A page that finds nothing ends all the same, so that nobody waits for a gigabyte to be read.
func TestPage_LooksAtSoMuchOnly(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	text := strings.Repeat("x", 10<<10)
	for range 2000 { // 20 MiB
		add(t, s, text)
	}
	add(t, s, "needle")
	got, count := pages(t, s, logs.Query{Match: func(l logs.Line) bool { return l.Text == "needle" }}, 10)
	check(t, "found", got, []string{"needle"})
	if count < 3 {
		t.Errorf("it took %d pages", count)
	}
}

// A window into a log that was cut or has no line ends comes to its end.
func TestPage_SurvivesDamage(t *testing.T) {
	dir := t.TempDir()
	junk := []byte(strings.Repeat("\x00", 3<<20) + "\n{torn")
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.log"), junk, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, &logs.Options{SegmentBytes: 100})
	add(t, s, numbers(0, 5)...)
	got, _ := pages(t, s, logs.Query{Since: time.Now().Add(-time.Hour)}, 2)
	check(t, "lines", got, numbers(0, 5))
	if err := os.Truncate(filepath.Join(dir, "0000000000000001.log"), 10); err != nil {
		t.Fatal(err)
	}
	got, _ = pages(t, s, logs.Query{}, 2)
	check(t, "lines", got, numbers(0, 5))
}
