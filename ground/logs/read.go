package logs

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// view is the log as it was at one moment.
type view struct {
	segs    []segment
	end     Position
	deleted Position
	changed <-chan struct{} // closed when there is more
	closed  bool
}

// look writes what has gathered and returns the view of the moment.
func (s *Store) look() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.flushLocked()
	}
	v := view{deleted: s.deleted, changed: s.changed, closed: s.closed}
	for _, g := range s.segs {
		v.segs = append(v.segs, *g)
	}
	last := v.segs[len(v.segs)-1]
	v.end = Position{last.num, last.size}
	return v
}

// Read calls f with the lines that are there now and that q selects, oldest first.
// An error of f ends it and is returned as it is. It reads the newest segments
// only, as far as Count or Since allow.
func (s *Store) Read(ctx context.Context, q Query, f func(Line) error) error {
	v := s.look()
	if v.closed {
		return errClosed()
	}
	_, err := s.readView(ctx, v, &q, func(l Line, _ Position) error { return f(l) })
	return err
}

// each is called with a line and where it ends.
type each func(Line, Position) error

// Follow does what Read does and goes on with each new line that q selects,
// until ctx ends or q.Until has passed: then it returns nil. Other ends are an
// error of f, which is returned as it is, and fault.Lost when the store is closed.
func (s *Store) Follow(ctx context.Context, q Query, f func(Line) error) error {
	return s.FollowFrom(ctx, q, nil, func(l Line, _ Position) error { return f(l) })
}

// FollowFrom does what Follow does and tells f where each line ends: who begins there, after another Open too, gets what comes behind
// it, each line once. from is such a place, and q.Count is not heeded then; nil: as Follow begins.
func (s *Store) FollowFrom(ctx context.Context, q Query, from *Position, f func(Line, Position) error) error {
	s.countFollower(1)
	defer s.countFollower(-1)
	err := s.follow(ctx, &q, from, f)
	if ctx.Err() != nil && (err == nil || fault.KindOf(err) == fault.KindOf(ctx.Err())) {
		return nil
	}
	return err
}

func (s *Store) countFollower(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follows += n
}

func (s *Store) follow(ctx context.Context, q *Query, begin *Position, f each) error {
	until := untilTimer(q)
	defer until.Stop()
	v := s.look()
	lost, err := s.begin(ctx, v, q, begin, f)
	for ended := false; err == nil && !ended; {
		if v.closed {
			return errClosed()
		}
		if lost {
			if err := f(Line{Time: time.Now().UTC(), Stream: Node, Text: "[lines lost: reading was slower than logging]"}, v.end); err != nil {
				return err
			}
		}
		select {
		case <-v.changed:
		case <-until.C:
			ended = true
		case <-ctx.Done():
			return nil
		}
		from := v.end
		v = s.look()
		before := from.before(v.deleted)
		lost, err = s.forward(ctx, v, from, q, f)
		lost = lost || before
	}
	return err
}

// untilTimer fires when q.Until has come, or never.
func untilTimer(q *Query) *time.Timer {
	if q.Until.IsZero() {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTimer(time.Until(q.Until))
}

// begin delivers what is there already, behind a position if there is one.
func (s *Store) begin(ctx context.Context, v view, q *Query, at *Position, f each) (lost bool, err error) {
	if at == nil {
		return s.readView(ctx, v, q, f)
	}
	from := *at
	if v.end.before(from) { // a power cut took what was behind it
		from = v.end
	}
	lost, err = s.forward(ctx, v, from, q, f)
	return lost || from.before(v.deleted) || from.Segment > 0 && from.Segment < v.segs[0].num, err
}

func (s *Store) readView(ctx context.Context, v view, q *Query, f each) (lost bool, err error) {
	if q.Count < 0 {
		return false, nil
	}
	var from Position
	if q.Count > 0 {
		if from, err = s.newest(ctx, v, q); err != nil {
			return false, err
		}
	}
	return s.forward(ctx, v, from, q, f)
}

// forward calls f with the selected lines from a position on. lost is set when
// segments were deleted before they could be read.
func (s *Store) forward(ctx context.Context, v view, from Position, q *Query, f each) (lost bool, err error) {
	for i := range v.segs {
		g := &v.segs[i]
		if g.num < from.Segment || s.outside(g, q) {
			continue
		}
		off := int64(0)
		if g.num == from.Segment {
			off = from.Offset
		}
		data, err := s.load(ctx, g, off)
		if errors.Is(err, errDeleted) {
			lost = true
			continue
		}
		if err != nil {
			return lost, err
		}
		if err := s.deliver(ctx, g, data, off, q, f); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// deliver calls f with the selected lines of a segment's data, which begins at off.
func (s *Store) deliver(ctx context.Context, g *segment, data []byte, off int64, q *Query, f each) error {
	whole := off == 0
	for b := range bytes.Lines(data) {
		off += int64(len(b))
		l, ok := parse(b)
		if !ok {
			continue
		}
		g.note(l.Time)
		if !q.selects(l) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return readError(err)
		}
		if err := f(l, Position{g.num, off}); err != nil {
			return err
		}
	}
	if whole {
		s.learn(g)
	}
	return nil
}

// newest returns where the oldest of the newest q.Count selected lines begins.
// It goes backwards, so that asking for ten lines of a gigabyte reads one segment.
func (s *Store) newest(ctx context.Context, v view, q *Query) (Position, error) {
	left := q.Count
	for i := len(v.segs) - 1; i >= 0; i-- {
		g := &v.segs[i]
		if s.outside(g, q) {
			continue
		}
		data, err := s.load(ctx, g, 0)
		if err != nil && !errors.Is(err, errDeleted) {
			return Position{}, err
		}
		for end := len(data); end > 0; {
			begin := bytes.LastIndexByte(data[:end-1], '\n') + 1
			if l, ok := parse(data[begin:end]); ok {
				g.note(l.Time)
				if q.selects(l) {
					left--
				}
			}
			if left == 0 {
				return Position{g.num, int64(begin)}, nil
			}
			end = begin
		}
		s.learn(g)
	}
	return Position{}, nil
}

// learn remembers the times of a segment a reader went through completely.
func (s *Store) learn(seen *segment) {
	if seen.timed || seen.size == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		if g.num == seen.num && g.size == seen.size {
			g.first, g.last, g.timed = seen.first, seen.last, true
		}
	}
}

func (s *Store) load(ctx context.Context, g *segment, off int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, readError(err)
	}
	data, err := g.load(s.dir, off)
	if err != nil && !errors.Is(err, errDeleted) {
		err = readError(err)
	}
	return data, err
}

func readError(err error) error { return fault.New(fault.KindOf(err), "read log", "", err) }
