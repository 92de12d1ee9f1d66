package logs

import (
	"bytes"
	"context"
	"errors"
)

const (
	// pageScan is how much of the log one page looks at: whoever waits for it hears something soon.
	pageScan   = 8 << 20
	pageWindow = 1 << 20 // of that, at a time; more than a record
)

// Position is a place between two lines of a store. The zero value is before the first.
type Position struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

func (p Position) before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// Page calls f with the lines that q selects from a position on, oldest first, until f returns false, which takes its line
// still, or the page has looked at 8 MiB. It returns where the next page begins; more is false at the end of what is there
// now. q.Count is not heeded. Lines that were deleted meanwhile are left out.
func (s *Store) Page(ctx context.Context, q Query, from Position, f func(Line) bool) (next Position, more bool, err error) {
	v := s.look()
	if v.closed {
		return from, false, errClosed()
	}
	next = from
	p := pager{s: s, q: &q, f: f, left: pageScan}
	for i := range v.segs {
		g := &v.segs[i]
		if g.num < from.Segment || s.outside(g, &q) {
			continue
		}
		off := int64(0)
		if g.num == from.Segment {
			off = from.Offset
		}
		off, full, err := p.segment(ctx, g, off)
		if err != nil || full {
			return Position{g.num, off}, err == nil, err
		}
		next = Position{g.num, off}
	}
	return next, false, nil
}

// pager fills one page.
type pager struct {
	s    *Store
	q    *Query
	f    func(Line) bool
	left int64 // to look at
}

// segment goes through a segment and returns how far; full when the page is.
func (p *pager) segment(ctx context.Context, g *segment, off int64) (end int64, full bool, err error) {
	whole := off == 0
	if whole && p.left < min(g.size, pageScan) {
		return 0, true, nil // the next page goes through all of it, and learns its times
	}
	for off < g.size {
		if err := ctx.Err(); err != nil {
			return off, false, readError(err)
		}
		if p.left <= 0 {
			return off, true, nil
		}
		data, err := g.window(p.s.dir, off, pageWindow)
		if errors.Is(err, errDeleted) {
			return off, false, nil
		}
		if err != nil {
			return off, false, readError(err)
		}
		if len(data) == 0 {
			return off, false, nil
		}
		p.left -= int64(len(data))
		for b := range bytes.Lines(data) {
			off += int64(len(b))
			l, ok := parse(b)
			if !ok {
				continue
			}
			g.note(l.Time)
			if p.q.selects(l) && !p.f(l) {
				return off, true, nil
			}
		}
	}
	if whole {
		p.s.learn(g)
	}
	return off, false, nil
}

// window returns whole lines of the segment from off on, about most bytes of them; what is no line, torn by a crash
// or longer than any record, as it is.
func (g *segment) window(dir string, off, most int64) ([]byte, error) {
	part := *g
	part.size = min(g.size, off+most)
	data, err := part.load(dir, off)
	if err != nil {
		return nil, err
	}
	if whole := bytes.LastIndexByte(data, '\n') + 1; whole > 0 && part.size < g.size {
		data = data[:whole]
	}
	return data, nil
}
