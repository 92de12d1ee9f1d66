package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// segment is one file of the store. It is guarded by the store's lock; readers
// work on copies.
type segment struct {
	num  uint64
	size int64
	// The times of its lines lie within first and last if timed is set: never by a guess. A segment found at Open is timed by its
	// seal, or by the first reader that goes through it.
	first, last time.Time
	timed       bool
	sealed      bool // its last record is a seal; of the segment that is written to
}

func segmentName(num uint64) string { return fmt.Sprintf("%016d.log", num) }

// outside reports whether no line of the segment can be selected by the query's times.
func (g *segment) outside(q *Query) bool {
	return g.timed && (g.last.Before(q.Since) || !q.Until.IsZero() && !g.first.Before(q.Until))
}

// note widens the times by a line's.
func (g *segment) note(t time.Time) {
	if g.first.IsZero() || t.Before(g.first) {
		g.first = t
	}
	if t.After(g.last) {
		g.last = t
	}
}

// listSegments returns the segments of a folder, oldest first.
func listSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var segs []*segment
	for _, e := range entries {
		var num uint64
		if n, _ := fmt.Sscanf(e.Name(), "%d.log", &num); n != 1 || segmentName(num) != e.Name() || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		segs = append(segs, &segment{num: num, size: info.Size()})
	}
	slices.SortFunc(segs, func(a, b *segment) int {
		if a.num < b.num {
			return -1
		}
		return 1
	})
	return segs, nil
}

// openTail opens the newest segment for appending, drops a torn last record and times the rest.
func openTail(dir string, g *segment) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, segmentName(g.num)), os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err == nil {
		whole := int64(bytes.LastIndexByte(data, '\n') + 1)
		if whole < int64(len(data)) {
			err = f.Truncate(whole)
		}
		g.size = whole
		for b := range bytes.Lines(data[:whole]) {
			if t, ok := timeOf(b); ok {
				g.note(t)
			}
		}
		g.timed = true
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// load returns the bytes of a segment from off up to the size it had when it was
// copied. A segment that was deleted meanwhile is errDeleted.
func (g *segment) load(dir string, off int64) ([]byte, error) {
	if off >= g.size {
		return nil, nil
	}
	f, err := os.Open(filepath.Join(dir, segmentName(g.num)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errDeleted
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, g.size-off)
	n, err := f.ReadAt(data, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

var errDeleted = errors.New("segment was deleted")
