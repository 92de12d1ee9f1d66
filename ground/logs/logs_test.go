package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/logs"
)

func open(t testing.TB, dir string, opts *logs.Options) *logs.Store {
	t.Helper()
	s, err := logs.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t testing.TB, s *logs.Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.Append(logs.Line{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
}

// texts returns the texts of the lines q selects.
func texts(t testing.TB, s *logs.Store, q logs.Query) []string {
	t.Helper()
	var got []string
	err := s.Read(t.Context(), q, func(l logs.Line) error {
		got = append(got, l.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func numbers(from, to int) []string {
	var s []string
	for n := from; n < to; n++ {
		s = append(s, fmt.Sprint("line ", n))
	}
	return s
}

func check[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

// bytesIn is the sum of the sizes of all files in a folder.
func bytesIn(t testing.TB, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

func TestStore_KeepsLinesInOrderAcrossOpens(t *testing.T) {
	dir := t.TempDir()
	want := logs.Line{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Bundle: "abc", Name: "crunch", Worker: "w1",
		PID: 7, Stream: logs.Stderr, Text: "<\"quoted\" & \u2028 \x00>",
	}
	s := open(t, dir, nil)
	if err := s.Append(want); err != nil {
		t.Fatal(err)
	}
	add(t, s, numbers(0, 5)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	add(t, s, numbers(5, 10)...)
	var got []logs.Line
	s.Read(t.Context(), logs.Query{}, func(l logs.Line) error { got = append(got, l); return nil })
	check(t, "first line", got[0], want)
	check(t, "all", texts(t, s, logs.Query{})[1:], numbers(0, 10))
}

func TestStore_NeverExceedsItsCap(t *testing.T) {
	for _, cap := range []int64{300, 4096, 100_003} {
		dir := t.TempDir()
		s := open(t, dir, &logs.Options{MaxBytes: cap})
		count := 0
		for written := int64(0); written < 10*cap; count++ {
			text := fmt.Sprintf("line %d %s", count, strings.Repeat("x", count%50))
			written += int64(len(text)) + 50
			add(t, s, text)
			if count%17 == 0 {
				texts(t, s, logs.Query{Count: 1}) // writes what has gathered
				if sum := bytesIn(t, dir); sum > cap {
					t.Fatalf("cap %d: got %d bytes on disk", cap, sum)
				}
			}
		}
		got := texts(t, s, logs.Query{})
		if sum := bytesIn(t, dir); sum > cap || cap > 1000 && sum < cap/2 {
			t.Errorf("cap %d: got %d bytes on disk", cap, sum)
		}
		if last := fmt.Sprintf("line %d ", count-1); len(got) == 0 || !strings.HasPrefix(got[len(got)-1], last) {
			t.Errorf("cap %d: the newest line is missing", cap)
		}
		s.Close()
		open(t, dir, &logs.Options{MaxBytes: cap / 2})
		if sum := bytesIn(t, dir); sum > cap/2 {
			t.Errorf("cap %d halved: got %d bytes on disk", cap, sum)
		}
	}
}

func TestStore_RefusesALineAboveItsBounds(t *testing.T) {
	s := open(t, t.TempDir(), &logs.Options{MaxBytes: 100})
	if err := s.Append(logs.Line{Text: strings.Repeat("x", 100)}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
	s = open(t, t.TempDir(), nil)
	if err := s.Append(logs.Line{Text: strings.Repeat("x", 300<<10)}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
	add(t, s, "fits")
	check(t, "lines", texts(t, s, logs.Query{}), []string{"fits"})
}

func TestOpen_DropsATornTail(t *testing.T) {
	for _, torn := range []string{`{"time":"2026-01-02T03:0`, "\x00\x00\x00", "no record\n\n{}\n", "null\n\xff\n{"} {
		dir := t.TempDir()
		s := open(t, dir, nil)
		add(t, s, "whole")
		s.Close()
		files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(torn)
		f.Close()
		s = open(t, dir, nil)
		add(t, s, "after")
		check(t, fmt.Sprintf("%q", torn), texts(t, s, logs.Query{}), []string{"whole", "after"})
		check(t, "newest", texts(t, s, logs.Query{Count: 1}), []string{"after"})
	}
}

func TestOpen_LeavesStrangersAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1.log", "notes.log", "0000000000000001.log.gz"} {
		os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", 100)), 0o600)
	}
	s := open(t, dir, &logs.Options{MaxBytes: 500})
	add(t, s, numbers(0, 50)...)
	s.Close()
	for _, name := range []string{"1.log", "notes.log", "0000000000000001.log.gz"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(b) != 100 {
			t.Errorf("%s: got %d bytes, %v", name, len(b), err)
		}
	}
}

func TestRead_SelectsByCountTimeAndMatch(t *testing.T) {
	dir := t.TempDir()
	opts := &logs.Options{MaxBytes: 1 << 20, SegmentBytes: 300}
	s := open(t, dir, opts)
	at := func(n int) time.Time { return time.Unix(int64(1000+n), 0).UTC() }
	for n, text := range numbers(0, 40) {
		if err := s.Append(logs.Line{Time: at(n), Text: text, PID: n % 2}); err != nil {
			t.Fatal(err)
		}
	}
	odd := func(l logs.Line) bool { return l.PID == 1 }
	for range 2 { // the second time from a fresh store, which has to learn the times
		check(t, "newest 3", texts(t, s, logs.Query{Count: 3}), numbers(37, 40))
		check(t, "more than there are", texts(t, s, logs.Query{Count: 99}), numbers(0, 40))
		check(t, "none", texts(t, s, logs.Query{Count: -1}), nil)
		check(t, "since", texts(t, s, logs.Query{Since: at(35)}), numbers(35, 40))
		check(t, "until", texts(t, s, logs.Query{Until: at(5)}), numbers(0, 5))
		check(t, "between, newest", texts(t, s, logs.Query{Since: at(5), Until: at(30), Count: 2}), numbers(28, 30))
		check(t, "odd", texts(t, s, logs.Query{Match: odd, Count: 2}), []string{"line 37", "line 39"})
		check(t, "nothing", texts(t, s, logs.Query{Since: at(100)}), nil)
		s.Close()
		s = open(t, dir, opts)
	}
	stop := errors.New("enough")
	if err := s.Read(t.Context(), logs.Query{}, func(logs.Line) error { return stop }); err != stop {
		t.Errorf("got %v, want the caller's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Read(ctx, logs.Query{}, func(logs.Line) error { return nil }); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v, want canceled", err)
	}
	s.Close()
	if err := s.Read(t.Context(), logs.Query{}, nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
	if err := s.Append(logs.Line{}); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost", err)
	}
}

func TestAppend_ReachesTheDiskUnasked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	add(t, s, "line")
	for end := time.Now().Add(10 * time.Second); bytesIn(t, dir) == 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("nothing was written")
		}
	}
}

func TestFollow_HasNoSeam(t *testing.T) {
	const writers, each = 4, 500
	s := open(t, t.TempDir(), &logs.Options{SegmentBytes: 5000})
	var wg sync.WaitGroup
	halfway := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				if err := s.Append(logs.Line{PID: w, Text: fmt.Sprint(n)}); err != nil {
					t.Error(err)
				}
				if w == 0 && n == each/2 {
					close(halfway)
				}
			}
		})
	}
	<-halfway
	var followers sync.WaitGroup
	for range 3 {
		followers.Go(func() {
			next, total, done := [writers]int{}, 0, errors.New("done")
			err := s.Follow(t.Context(), logs.Query{}, func(l logs.Line) error {
				if l.Text != fmt.Sprint(next[l.PID]) {
					t.Errorf("writer %d: got line %s, want %d", l.PID, l.Text, next[l.PID])
				}
				next[l.PID]++
				if total++; total == writers*each {
					return done
				}
				return nil
			})
			if err != done {
				t.Errorf("got %v, want the caller's error", err)
			}
		})
	}
	followers.Wait()
	wg.Wait()
}

func TestFollow_StartsWithTheNewestAndEndsInOrder(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	add(t, s, numbers(0, 10)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := s.Follow(ctx, logs.Query{Count: 2}, func(l logs.Line) error {
		got = append(got, l.Text)
		switch len(got) {
		case 2:
			add(t, s, "line 10")
		case 3:
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Errorf("got %v, want nil after the context's end", err)
	}
	check(t, "lines", got, numbers(8, 11))

	if err := s.Follow(t.Context(), logs.Query{Until: time.Now()}, func(logs.Line) error { return nil }); err != nil {
		t.Errorf("got %v, want nil after Until", err)
	}
	err = s.Follow(t.Context(), logs.Query{Count: 1}, func(logs.Line) error { return s.Close() })
	if fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v, want lost after Close", err)
	}
}

func TestFollow_SaysWhenItWasTooSlow(t *testing.T) {
	s := open(t, t.TempDir(), &logs.Options{MaxBytes: 1000})
	add(t, s, "first")
	told := errors.New("told")
	err := s.Follow(t.Context(), logs.Query{}, func(l logs.Line) error {
		if l.Text == "first" {
			add(t, s, numbers(0, 100)...)
			texts(t, s, logs.Query{Count: 1})
		}
		if l.Stream == logs.Node && strings.Contains(l.Text, "lost") {
			return told
		}
		return nil
	})
	if err != told {
		t.Errorf("got %v, want to be told", err)
	}
}

func TestSink_CutsAStreamIntoLines(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	k := s.Sink(logs.Line{Worker: "w1", Stream: logs.Stdout, Time: time.Unix(1, 0)})
	for _, part := range []string{"one\ntw", "o\r\n", "\n", "bad \xff\xfe end\n", "unfin", "ished"} {
		if n, err := k.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write([]byte("late")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want closed", err)
	}
	check(t, "lines", texts(t, s, logs.Query{Since: time.Now().Add(-time.Hour)}),
		[]string{"one", "two", "", "bad \uFFFD end", "unfinished"})
}

func TestSink_SplitsLongLinesBetweenCharacters(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	long := "a" + strings.Repeat("é", 3*logs.MaxLine/2)
	for _, step := range []int{1, 7, 4096, len(long)} {
		k := s.Sink(logs.Line{Worker: fmt.Sprint(step)})
		for b := []byte(long); len(b) > 0; b = b[min(step, len(b)):] {
			k.Write(b[:min(step, len(b))])
		}
		k.Close()
		var joined strings.Builder
		parts := 0
		s.Read(t.Context(), logs.Query{Match: func(l logs.Line) bool { return l.Worker == fmt.Sprint(step) }}, func(l logs.Line) error {
			text, more := strings.CutSuffix(l.Text, logs.Continues)
			if parts++; len(text) > logs.MaxLine || more != (joined.Len()+len(text) < len(long)) {
				t.Errorf("part %d has %d bytes, more: %v", parts, len(text), more)
			}
			joined.WriteString(text)
			return nil
		})
		if joined.String() != long || parts != 4 {
			t.Errorf("step %d: got %d bytes in %d parts, want %d", step, joined.Len(), parts, len(long))
		}
	}
}

func TestSink_BoundsAFlood(t *testing.T) {
	const flood, rate, burst = 256 << 20, 1 << 20, 4 << 20
	dir := t.TempDir()
	s := open(t, dir, &logs.Options{SinkRate: rate, SinkBurst: burst})
	k := s.Sink(logs.Line{Stream: logs.Stdout})
	chunk := bytes.Repeat([]byte("a line of the flood, a line of the flood, a line of the flood\n"), 1024)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	for n := 0; n < flood; n += len(chunk) {
		k.Write(chunk)
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	k.Close()
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	var lines, dropped, droppedBytes int
	s.Read(t.Context(), logs.Query{}, func(l logs.Line) error {
		var n, b int
		if c, _ := fmt.Sscanf(l.Text, "[%d lines, %d bytes dropped]", &n, &b); c == 2 {
			dropped, droppedBytes = dropped+n, droppedBytes+b
		} else {
			lines++
		}
		return nil
	})
	total := (flood + len(chunk) - 1) / len(chunk) * 1024
	if lines+dropped != total || droppedBytes != dropped*(len(chunk)/1024) {
		t.Errorf("got %d lines and %d dropped (%d bytes), want %d together", lines, dropped, droppedBytes, total)
	}
	budget := burst + rate*(took.Seconds()+1)
	if disk := bytesIn(t, dir); float64(disk) > budget {
		t.Errorf("got %d bytes on disk after %v, want at most %.0f", disk, took, budget)
	}
}

func TestSink_TellsOfDropsThoughTheProcessIsSilentAgain(t *testing.T) {
	s := open(t, t.TempDir(), &logs.Options{SinkRate: 1, SinkBurst: 1}) // room for one longest line
	k := s.Sink(logs.Line{})
	defer k.Close()
	kept := strings.Repeat("k", logs.MaxLine)
	k.Write([]byte(kept + "\ndropped\ndropped\n"))
	told := errors.New("told")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	err := s.Follow(ctx, logs.Query{}, func(l logs.Line) error {
		if got = append(got, l.Text); strings.Contains(l.Text, "dropped]") {
			return told
		}
		return nil
	})
	if err != told {
		t.Errorf("got %v", err)
	}
	check(t, "lines", got, []string{kept, "[2 lines, 16 bytes dropped]"})
}

func TestSink_TakesBinaryGarbage(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	k := s.Sink(logs.Line{})
	garbage := make([]byte, 100<<10)
	for i := range garbage {
		garbage[i] = byte(i * i >> 3)
	}
	k.Write(garbage)
	k.Close()
	for _, text := range texts(t, s, logs.Query{}) {
		if !utf8.ValidString(text) {
			t.Fatalf("got invalid UTF-8: %q", text)
		}
	}
}

func TestStore_CountsWhatAFullDiskLoses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s := open(t, dir, &logs.Options{SegmentBytes: 100})
	add(t, s, "before")
	texts(t, s, logs.Query{})
	// A new segment cannot be created in a folder that is gone.
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	var failed error
	for _, text := range []string{"lost 1", "lost 2", "lost 3"} {
		failed = errors.Join(failed, s.Append(logs.Line{Text: text}))
	}
	s.Read(t.Context(), logs.Query{Count: -1}, nil)
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if failed = errors.Join(failed, s.Append(logs.Line{Text: "reported"})); failed == nil {
		t.Error("the failure was not reported")
	}
	add(t, s, "after")
	got := texts(t, s, logs.Query{})
	if all := strings.Join(got, "|"); !strings.Contains(all, "lines lost: the log could not be written]|after") {
		t.Errorf("got %s", all)
	}
}

func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","text":"hello"}` + "\n"))
	f.Add([]byte("{\n\x00\n" + `{"time":"2026-01-02T03:04:05Z","text":`))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000000000001.log"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, nil)
		found := texts(t, s, logs.Query{})
		add(t, s, "mine")
		check(t, "all", texts(t, s, logs.Query{}), append(found, "mine"))
		check(t, "counted", texts(t, s, logs.Query{Count: len(found) + 1}), append(found, "mine"))
		check(t, "newest", texts(t, s, logs.Query{Count: 1}), []string{"mine"})
		s.Close()
	})
}

func BenchmarkSink(b *testing.B) {
	s := open(b, b.TempDir(), &logs.Options{SinkBurst: 1 << 40, MaxBytes: 64 << 20})
	k := s.Sink(logs.Line{Worker: "w1", Stream: logs.Stdout})
	line := []byte("2026-01-02 03:04:05 INFO request served in 12 ms\n")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		k.Write(line)
	}
}

// A follower that ends behind any line and begins there again, with another store on the folder, misses nothing and gets nothing twice.
func TestFollowFrom_GoesOnBehindEachLine(t *testing.T) {
	const n = 40
	opts := &logs.Options{SegmentBytes: 500}
	dir, done := t.TempDir(), errors.New("done")
	s := open(t, dir, opts)
	add(t, s, numbers(0, n)...)
	var places []logs.Position
	follow := func(from *logs.Position, most int) (got []string) {
		t.Helper()
		if most == 0 {
			return nil
		}
		err := s.FollowFrom(t.Context(), logs.Query{Count: most}, from, func(l logs.Line, at logs.Position) error {
			if got = append(got, l.Text); from == nil {
				places = append(places, at)
			}
			if len(got) == most {
				return done
			}
			return nil
		})
		if err != done {
			t.Fatal(err)
		}
		return got
	}
	check(t, "from the beginning", follow(nil, n), numbers(0, n))
	s.Close()
	s = open(t, dir, opts)
	add(t, s, numbers(n, n+5)...)
	for i, at := range places {
		check(t, fmt.Sprint("behind line ", i), follow(&at, n+5-i-1), numbers(i+1, n+5))
	}
	check(t, "before the first", follow(&logs.Position{}, n+5), numbers(0, n+5))
}

// What a power cut took from the end of the log is not taken for what follows.
func TestFollowFrom_BeginsAtTheEndWhenThatWasCut(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	add(t, s, "there")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	var following sync.WaitGroup
	following.Go(func() {
		err := s.FollowFrom(ctx, logs.Query{}, &logs.Position{Segment: 1, Offset: 1 << 20}, func(l logs.Line, _ logs.Position) error {
			if got = append(got, l.Text); l.Text == "last" {
				cancel()
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	for ctx.Err() == nil { // the follower may begin behind some of them
		add(t, s, "last")
		texts(t, s, logs.Query{Count: 1})
	}
	following.Wait()
	check(t, "lines", got[:1], []string{"last"})
}

func TestFollowFrom_SaysWhatWasDeletedMeanwhile(t *testing.T) {
	s := open(t, t.TempDir(), &logs.Options{MaxBytes: 1000})
	add(t, s, numbers(0, 100)...)
	texts(t, s, logs.Query{Count: 1})
	told := errors.New("told")
	err := s.FollowFrom(t.Context(), logs.Query{}, &logs.Position{Segment: 1}, func(l logs.Line, _ logs.Position) error {
		if l.Stream == logs.Node && strings.Contains(l.Text, "lost") {
			return told
		}
		return nil
	})
	if err != told {
		t.Errorf("got %v, want to be told", err)
	}
}
