package fleet

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// LogLines returns what processes printed, of all nodes, in order of time; of each query
// the newest Count lines. known is as in Nodes.
func (f *Fleet) LogLines(ctx context.Context, known int, queries ...roster.LogQuery) ([]roster.LogLine, error) {
	var lines []roster.LogLine
	for _, q := range queries {
		var found []roster.LogLine
		ended := 0
		q.Follow, q.Stop = false, ""
		err := f.gather(ctx, roster.SubjectLogs, q, func(m bus.Message) bool {
			var c roster.LogChunk
			if json.Unmarshal(m.Data, &c) != nil {
				return false
			}
			found = append(found, c.Lines...)
			if c.End {
				ended++
			}
			return known > 0 && ended >= known
		})
		if err != nil {
			return nil, err
		}
		sortLines(found)
		if q.Count > 0 && len(found) > q.Count {
			found = found[len(found)-q.Count:]
		}
		lines = append(lines, found...)
	}
	sortLines(lines)
	return lines, nil
}

func sortLines(lines []roster.LogLine) {
	slices.SortStableFunc(lines, func(a, b roster.LogLine) int { return a.Time.Compare(b.Time) })
}

// settle is how long a followed line waits for older ones of other nodes.
const settle = 100 * time.Millisecond

// FollowLogs calls f with the lines that the queries select, those that are there
// and then each new one, until ctx ends or f returns an error. Lines of several nodes are in order of
// time as far as they arrive within a moment of each other.
func (f *Fleet) FollowLogs(ctx context.Context, queries []roster.LogQuery, show func(roster.LogLine) error) error {
	arrived := make(chan roster.LogChunk, 256)
	over := make(chan struct{})
	defer close(over)
	inbox, stop := f.bus.Inbox(), f.bus.Inbox()
	sub, err := f.bus.Subscribe(inbox, "", func(m bus.Message) {
		var c roster.LogChunk
		if json.Unmarshal(m.Data, &c) != nil {
			return
		}
		select {
		case arrived <- c:
		case <-over:
		}
	})
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	defer f.bus.Publish(stop, nil)
	for _, q := range queries {
		q.Follow, q.Stop = true, stop
		data, err := json.Marshal(q)
		if err != nil {
			return err
		}
		if err := f.bus.Send(bus.Message{Subject: roster.SubjectLogs, Reply: inbox, Data: data}); err != nil {
			return err
		}
	}
	var held []roster.LogLine
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return fault.New(fault.KindOf(ctx.Err()), "follow logs", "", context.Cause(ctx))
		case c := <-arrived:
			held = append(held, c.Lines...)
			if due == nil {
				due = time.After(settle)
			}
		case <-due:
			sortLines(held)
			for _, l := range held {
				if err := show(l); err != nil {
					return err
				}
			}
			held, due = nil, nil
		}
	}
}
