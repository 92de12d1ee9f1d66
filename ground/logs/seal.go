package logs

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"
)

// seal is the last record of a segment that nothing is written to any more: the times of the lines before it. It has no time of its
// own, and who does not know it takes it for no line.
type seal struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

const (
	sealBegins = `{"first":"`
	maxSeal    = 128 // bytes; two times and their names
)

// sealLocked seals the last segment, whose times are known. Without a seal a reader who wants a part of the log has to go through
// it, and no more: an error here is none of those who write.
func (s *Store) sealLocked() {
	g := s.segs[len(s.segs)-1]
	if !g.timed || g.sealed || g.size == 0 {
		return
	}
	data, err := json.Marshal(seal{g.first, g.last})
	if err != nil {
		return
	}
	data = append(data, '\n')
	size := int64(len(data))
	for s.total+size > s.opts.MaxBytes && len(s.segs) > 1 {
		if s.deleteOldestLocked() != nil {
			return
		}
	}
	if s.total+size > s.opts.MaxBytes {
		return
	}
	if _, err := s.file.Write(data); err != nil {
		s.undoLocked(g)
		return
	}
	g.size += size
	s.total += size
	g.sealed = true
}

// outside reports whether no line of the segment can be selected by the query's times.
func (s *Store) outside(g *segment, q *Query) bool {
	if q.Since.IsZero() && q.Until.IsZero() {
		return false
	}
	if !g.timed {
		s.unseal(g)
	}
	return g.outside(q)
}

// unseal reads the seal of a segment that was found when the store was opened, if it has one: a gigabyte is not read for the last five
// minutes of it.
func (s *Store) unseal(g *segment) {
	data, err := g.end(s.dir)
	if err != nil {
		return
	}
	// A line's text cannot look like it: its quotes are escaped.
	begin := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte{'\n'}), '\n') + 1
	data = data[begin:]
	var was seal
	if !bytes.HasPrefix(data, []byte(sealBegins)) || json.Unmarshal(data, &was) != nil || was.First.IsZero() {
		return
	}
	g.first, g.last = was.First, was.Last
	s.learn(g)
	g.timed = true
}

// end returns the last bytes of a segment, of a seal at least.
func (g *segment) end(dir string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, segmentName(g.num)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	off := max(0, g.size-maxSeal)
	return io.ReadAll(io.NewSectionReader(f, off, g.size-off))
}
