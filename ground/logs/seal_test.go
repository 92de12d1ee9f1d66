package logs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/logs"
)

// segments are the files of a log, oldest first.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A clock that was set does not hide the lines of that time, not from who reads the log after a restart either, whether the segment
// was sealed, is the last one, or comes from a version that knew no seals.
func TestPage_FindsLinesOfAClockThatWasSet(t *testing.T) {
	dir := t.TempDir()
	opts := &logs.Options{SegmentBytes: 1 << 20}
	s := open(t, dir, opts)
	began := time.Unix(1_000_000, 0).UTC()
	text := strings.Repeat("x", 10<<10)
	var want []string
	for n := range 350 { // 3.5 segments
		l := logs.Line{Time: began.Add(time.Duration(n) * time.Second), Text: fmt.Sprint(n, text)}
		if n%100 == 50 { // in the middle of a segment
			l.Time = l.Time.Add(-24 * time.Hour)
			want = append(want, l.Text)
		}
		if err := s.Append(l); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := logs.Query{Since: began.Add(-25 * time.Hour), Until: began.Add(-time.Hour)}
	for _, how := range []string{"while it is open", "again", "without seals", "without seals, again"} {
		got, _ := pages(t, s, yesterday, 10)
		check(t, how+", by pages", got, want)
		check(t, how, texts(t, s, yesterday), want)
		tomorrow := logs.Query{Since: began.Add(time.Hour)}
		got, _ = pages(t, s, tomorrow, 10)
		check(t, how+", nothing by pages", got, nil)
		check(t, how+", nothing", texts(t, s, tomorrow), nil)
		s.Close()
		if how == "again" {
			unseal(t, dir)
		}
		s = open(t, dir, opts)
	}
}

// unseal makes segments those of a version that did not seal them.
func unseal(t *testing.T, dir string) {
	t.Helper()
	all := segments(t, dir)
	for _, file := range all[:len(all)-1] {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
		if !strings.HasPrefix(string(data[whole:]), `{"first":"`) {
			t.Fatalf("%s ends with %q, which is no seal", file, data[whole:])
		}
		if err := os.WriteFile(file, data[:whole], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A segment whose seal says that there is nothing for a reader is not gone through.
func TestPage_BelievesASeal(t *testing.T) {
	dir := t.TempDir()
	opts := &logs.Options{SegmentBytes: 300}
	s := open(t, dir, opts)
	at := func(n int) time.Time { return time.Unix(int64(1000+n), 0).UTC() }
	for n, text := range numbers(0, 20) {
		if err := s.Append(logs.Line{Time: at(n), Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	first := segments(t, dir)[0]
	data, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	before, after := fmt.Sprintf(`{"time":%q`, at(0).Format(time.RFC3339)), fmt.Sprintf(`{"time":%q`, at(19).Format(time.RFC3339))
	if err := os.WriteFile(first, bytes.Replace(data, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, opts)
	got, _ := pages(t, s, logs.Query{Since: at(18)}, 10)
	check(t, "lines", got, numbers(18, 20))
	check(t, "lines, read", texts(t, s, logs.Query{Since: at(18)}), numbers(18, 20))
	check(t, "the newest", texts(t, s, logs.Query{Since: at(18), Count: 5}), numbers(18, 20))
	check(t, "all", texts(t, s, logs.Query{}), numbers(0, 20))
}

// A page in which nothing is selected says where it ended, and the next one goes on there.
func TestPage_WithoutLinesHasAnEnd(t *testing.T) {
	s := open(t, t.TempDir(), &logs.Options{SegmentBytes: 300})
	add(t, s, numbers(0, 20)...)
	at, more, err := s.Page(t.Context(), logs.Query{}, logs.Position{}, func(logs.Line) bool { return true })
	if err != nil || more {
		t.Fatal(at, more, err)
	}
	old := logs.Query{Until: time.Unix(1000, 0)}
	next, more, err := s.Page(t.Context(), old, at, func(logs.Line) bool { return true })
	if next != at || more || err != nil {
		t.Errorf("got %v, %v, %v, want %v", next, more, err, at)
	}
	add(t, s, "new")
	var got []string
	if _, _, err := s.Page(t.Context(), logs.Query{}, next, func(l logs.Line) bool { got = append(got, l.Text); return true }); err != nil {
		t.Fatal(err)
	}
	check(t, "lines after it", got, []string{"new"})
}

// Whatever a segment ends with, the others are read.
func FuzzSeal(f *testing.F) {
	const line = `{"time":"2026-01-02T03:04:05Z","text":"mine"}` + "\n"
	f.Add([]byte(line + `{"first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z"}` + "\n"))
	f.Add([]byte(line + `{"first":"2026-01-02T03:04:05Z","last":"2025-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"first":"` + "\n\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"0000000000000001.log": data, "0000000000000002.log": []byte(line)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir, nil)
		defer s.Close()
		q := logs.Query{Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
		for range 2 { // the second time with what the first has learned
			read := texts(t, s, q)
			paged, _ := pages(t, s, q, 5)
			if len(read) == 0 || read[len(read)-1] != "mine" {
				t.Fatalf("got %q, want mine at the end", read)
			}
			check(t, "by pages", paged, read)
		}
	})
}
