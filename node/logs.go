package node

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/work/roster"
)

// logChunk is how many lines one answer holds, far below the bus's limit on
// messages.
const (
	logChunk   = 100
	logPage    = 1000 // at most
	chunkBytes = 256 << 10
)

// onLogs answers with stored lines, and goes on with new ones if asked to.
func (n *Node) onLogs(m bus.Message) {
	var q roster.LogQuery
	if json.Unmarshal(m.Data, &q) != nil || m.Reply == "" {
		return
	}
	if q.Node != "" && !strings.HasPrefix(n.ID(), q.Node) {
		return
	}
	n.work(func() {
		a := &logAnswer{n: n, to: m.Reply, chunk: roster.LogChunk{Node: n.ID()}}
		query, err := logQuery(q)
		switch {
		case err != nil:
			a.chunk.Wrong = err.Error()
		case q.Follow:
			err = a.all(q, query)
		default:
			err = a.found(q, query)
		}
		if err != nil && n.ctx.Err() == nil {
			n.opts.Logger.Debug("log not answered", "err", err)
			if !q.Follow { // who follows asks again
				a.chunk.Wrong = err.Error()
			}
		}
		a.chunk.End = true
		a.flush()
	})
}

// logQuery is what a question means for the store.
func logQuery(q roster.LogQuery) (logs.Query, error) {
	out := logs.Query{Since: q.Since, Until: q.Until, Count: q.Count}
	if out.Count == 0 {
		out.Count = 1000
	}
	match, err := q.Match()
	out.Match = func(l logs.Line) bool { return match(roster.LogLine(l)) }
	return out, err
}

// logAnswer is an answer under way.
type logAnswer struct {
	n     *Node
	to    string
	chunk roster.LogChunk
	bytes int
}

// take adds a line.
func (a *logAnswer) take(l logs.Line) {
	a.chunk.Lines = append(a.chunk.Lines, roster.LogLine{
		Time: l.Time, Node: a.n.ID(), Bundle: l.Bundle, Name: l.Name, Worker: l.Worker, PID: l.PID, Stream: l.Stream, Text: l.Text,
	})
	a.bytes += len(l.Text) + 200
}

func (a *logAnswer) flush() error {
	data, err := json.Marshal(a.chunk)
	if err != nil {
		return err
	}
	a.chunk.Lines, a.bytes = nil, 0
	return a.n.bus.Publish(a.to, data)
}

// found answers with what is there, and says meanwhile that it searches: who asks does not know how much there is to read.
func (a *logAnswer) found(q roster.LogQuery, query logs.Query) error {
	searching, err := json.Marshal(roster.LogChunk{Node: a.n.ID()})
	if err != nil {
		return err
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(over)
	wg.Go(func() {
		tick := time.NewTicker(roster.SearchSays)
		defer tick.Stop()
		for a.n.bus.Publish(a.to, searching) == nil {
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
	if q.Page > 0 {
		return a.page(q, query)
	}
	return a.all(q, query)
}

// page answers with one chunk.
func (a *logAnswer) page(q roster.LogQuery, query logs.Query) error {
	var from logs.Position
	if q.After != nil {
		from = logs.Position(*q.After)
	}
	most := min(q.Page, logPage)
	next, more, err := a.n.logs.Page(a.n.ctx, query, from, func(l logs.Line) bool {
		a.take(l)
		return len(a.chunk.Lines) < most && a.bytes < chunkBytes
	})
	if more {
		to := roster.LogPosition(next)
		a.chunk.Next = &to
	}
	return err
}

// all answers with the newest lines, and what comes then if q.Follow says so.
func (a *logAnswer) all(q roster.LogQuery, query logs.Query) error {
	if q.Follow && q.Stop != "" {
		return a.follow(q, query)
	}
	return a.n.logs.Read(a.n.ctx, query, func(l logs.Line) error {
		a.take(l)
		if len(a.chunk.Lines) >= logChunk || a.bytes > chunkBytes {
			return a.flush()
		}
		return nil
	})
}
