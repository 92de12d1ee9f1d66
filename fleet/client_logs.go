package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

const opLogs = "read logs"

// olderLines is how many lines are asked of a node of an older version, which does not know all that is asked for: its newest.
const olderLines = 10_000

// LogLines returns what processes printed, of all nodes, in order of time: the newest Count lines that q selects. known is as in Nodes.
// Of a node that does not know all that q asks for they are among its newest 10,000 lines. fault.Invalid for a wrong Grep.
func (f *Fleet) LogLines(ctx context.Context, known int, q roster.LogQuery) ([]roster.LogLine, error) {
	q.Follow, q.Stop, q.Page = false, "", 0
	match, err := matcher(q)
	if err != nil {
		return nil, err
	}
	var found []roster.LogLine
	older := map[string]bool{}
	err = f.gatherLogs(ctx, known, q, func(c roster.LogChunk) {
		lines := slices.DeleteFunc(c.Lines, func(l roster.LogLine) bool { return !match(l) })
		older[c.Node] = older[c.Node] || len(lines) < len(c.Lines)
		found = append(found, lines...)
	})
	if err != nil {
		return nil, err
	}
	for node, is := range older {
		if !is {
			continue
		}
		all := q
		all.Node, all.Count = node, olderLines
		found = slices.DeleteFunc(found, func(l roster.LogLine) bool { return l.Node == node })
		err := f.gatherLogs(ctx, 1, all, func(c roster.LogChunk) {
			found = append(found, slices.DeleteFunc(c.Lines, func(l roster.LogLine) bool { return !match(l) })...)
		})
		if err != nil {
			return nil, err
		}
	}
	sortLines(found)
	if q.Count > 0 && len(found) > q.Count {
		found = found[len(found)-q.Count:]
	}
	return found, nil
}

// matcher is q.Match with an error for whoever asks.
func matcher(q roster.LogQuery) (func(roster.LogLine) bool, error) {
	match, err := q.Match()
	if err != nil {
		return nil, fault.New(fault.Invalid, opLogs, "", err)
	}
	return match, nil
}

func sortLines(lines []roster.LogLine) {
	slices.SortStableFunc(lines, func(a, b roster.LogLine) int { return a.Time.Compare(b.Time) })
}

// logPage is how many lines are asked for at once.
const logPage = 500

// logSource is the log of one node, read page by page. One of an older version has one page.
type logSource struct {
	node  string
	lines []roster.LogLine
	next  *roster.LogPosition // nil: lines are the last
}

// ReadLogs calls show with what processes printed, of all nodes, in order of time, the oldest first, until show returns an
// error, which it returns. However much that is, it holds one page of each node. Count is not heeded. Of a node that knows no pages
// they are its newest 10,000 lines, as far as q selects them.
// known is as in Nodes. fault.Lost when a node that had begun to answer goes away, fault.Invalid for a wrong Grep.
func (f *Fleet) ReadLogs(ctx context.Context, known int, q roster.LogQuery, show func(roster.LogLine) error) error {
	q.Follow, q.Stop, q.Page, q.After, q.Count = false, "", logPage, nil, olderLines
	match, err := matcher(q)
	if err != nil {
		return err
	}
	var all []*logSource
	if err := f.logPage(ctx, known, q, match, func(c roster.LogChunk) { all = append(all, &logSource{c.Node, c.Lines, c.Next}) }); err != nil {
		return err
	}
	for {
		var oldest *logSource
		for _, s := range all {
			if err := f.refill(ctx, q, match, s); err != nil {
				return err
			}
			if len(s.lines) > 0 && (oldest == nil || s.lines[0].Time.Before(oldest.lines[0].Time)) {
				oldest = s
			}
		}
		if oldest == nil {
			return nil
		}
		if err := show(oldest.lines[0]); err != nil {
			return err
		}
		oldest.lines = oldest.lines[1:]
	}
}

// refill reads on, until there is a line or the end.
func (f *Fleet) refill(ctx context.Context, q roster.LogQuery, match func(roster.LogLine) bool, s *logSource) error {
	for len(s.lines) == 0 && s.next != nil {
		q.Node, q.After = s.node, s.next
		answered := false
		err := f.logPage(ctx, 1, q, match, func(c roster.LogChunk) { s.lines, s.next, answered = c.Lines, c.Next, true })
		if err == nil && !answered || fault.KindOf(err) == fault.Lost {
			return fault.Text(fault.Lost, opLogs, "", "node "+s.node+" does not answer any more").
				WithHint("what it has follows when it is back; --node ID asks another alone")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// logPage asks for a page of each node that q means. What comes in several chunks is one page too.
func (f *Fleet) logPage(ctx context.Context, known int, q roster.LogQuery, match func(roster.LogLine) bool, take func(roster.LogChunk)) error {
	lines := map[string][]roster.LogLine{}
	return f.gatherLogs(ctx, known, q, func(c roster.LogChunk) {
		for _, l := range c.Lines {
			if match(l) {
				lines[c.Node] = append(lines[c.Node], l)
			}
		}
		if c.End {
			c.Lines = lines[c.Node]
			take(c)
		}
	})
}

// gatherLogs asks each node that q means, and waits for those that have begun to answer, however long they search.
func (f *Fleet) gatherLogs(ctx context.Context, known int, q roster.LogQuery, take func(roster.LogChunk)) error {
	searching, ended, wrong := map[string]bool{}, 0, ""
	err := f.gather(ctx, roster.SubjectLogs, q, func(m bus.Message) verdict {
		var c roster.LogChunk
		if json.Unmarshal(m.Data, &c) == nil {
			searching[c.Node] = !c.End
			take(c)
			if c.End {
				ended++
			}
			wrong = cmp.Or(c.Wrong, wrong)
		}
		for _, still := range searching {
			if still {
				return unfinished
			}
		}
		if ended < known {
			return awaited
		}
		return after(ended, known)
	})
	if err == nil && wrong != "" {
		err = fault.Text(fault.Remote, opLogs, "", wrong)
	}
	return err
}
