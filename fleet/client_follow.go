package fleet

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

const (
	opFollow = "follow logs"
	// settle is how long a followed line waits for older ones of other nodes.
	settle = 100 * time.Millisecond
	// silentAfter is how long a node may say nothing until it counts as away.
	silentAfter = 4 * roster.LogBeat
	// askAgainMost is the longest pause between two questions to a node that is away.
	askAgainMost = 8 * time.Second
	// joinedEvery is how often it is looked whether another node is there.
	joinedEvery = 2 * time.Second
)

// LogFollower shows what processes print as they print it. Set its fields before the first Run.
type LogFollower struct {
	// Query selects the lines: the newest Count of those that are there, and then each new one.
	Query roster.LogQuery
	// Show gets them. Lines of several nodes are in order of time as far as they arrive within a moment of each other.
	Show func(roster.LogLine) error
	// Tell hears when a node is away, and when it is back. Nil: nobody does.
	Tell func(node string, back bool)

	f       *Fleet
	match   func(roster.LogLine) bool
	inbox   string // for lines
	stop    string
	present string // an inbox for nodes that are there
	stream  uint64 // the newest question's
	nodes   map[string]*followed
	began   time.Time
	held    []roster.LogLine // until they are settled
}

// Run follows the nodes of a fleet until ctx ends or Show returns an error. A node that is restarted, or is away for a while, is waited
// for, and goes on where it was: no line comes twice, and none is left out that it still has. So does a node that another Run knew, maybe by
// another connection. A node that joins the fleet later is followed from the Query's Since on, or else from when the first Run began, unless
// its version is so old that it cannot be told from one that was there and had nothing to say. One Run at a time. fault.Invalid for a wrong Grep.
func (w *LogFollower) Run(ctx context.Context, f *Fleet) error {
	match, err := matcher(w.Query)
	if err != nil {
		return err
	}
	w.f, w.inbox, w.stop, w.match = f, f.bus.Inbox(), f.bus.Inbox(), match
	arrived, there := make(chan roster.LogChunk, 256), make(chan roster.Status, 64)
	over := make(chan struct{})
	defer close(over)
	lines, err := f.bus.Subscribe(ctx, w.inbox, "", decoded(arrived, over))
	if err != nil {
		return err
	}
	defer lines.Unsubscribe()
	w.present = f.bus.Inbox()
	nodes, err := f.bus.Subscribe(ctx, w.present, "", decoded(there, over))
	if err != nil {
		return err
	}
	defer nodes.Unsubscribe()
	defer f.bus.Publish(w.stop, nil)
	if err := w.begin(); err != nil {
		return err
	}
	return w.run(ctx, arrived, there)
}

// decoded hands on what messages say, until it is over.
func decoded[T any](to chan<- T, over <-chan struct{}) func(bus.Message) {
	return func(m bus.Message) {
		var v T
		if json.Unmarshal(m.Data, &v) != nil {
			return
		}
		select {
		case to <- v:
		case <-over:
		}
	}
}

// begin asks all nodes, and those that are known already where they were.
func (w *LogFollower) begin() error {
	if w.nodes == nil {
		w.nodes, w.began = map[string]*followed{}, time.Now()
	}
	if err := w.ask(w.Query); err != nil {
		return err
	}
	for id, n := range w.nodes {
		n.heard, n.away = time.Now(), false
		w.askAgain(id, n, n.heard)
	}
	return nil
}

func (w *LogFollower) told(node string, back bool) {
	if w.Tell != nil {
		w.Tell(node, back)
	}
}

// followed is a node.
type followed struct {
	stream uint64 // what is taken from it; 0: all, from one of an older version, which does not beat
	at     *roster.LogPosition
	since  time.Time // instead of no Since
	heard  time.Time
	away   bool
	again  time.Time // when it is asked again
	pause  time.Duration
}

// ask sends a question of a stream of its own.
func (w *LogFollower) ask(q roster.LogQuery) error {
	w.stream++
	q.Follow, q.Stop, q.Page, q.Stream = true, w.stop, 0, w.stream
	data, err := json.Marshal(q)
	if err != nil {
		return err
	}
	return w.f.bus.Send(bus.Message{Subject: roster.SubjectLogs, Reply: w.inbox, Data: data})
}

func (w *LogFollower) run(ctx context.Context, arrived <-chan roster.LogChunk, there <-chan roster.Status) error {
	look, around := time.NewTicker(roster.LogBeat), time.NewTicker(joinedEvery)
	defer look.Stop()
	defer around.Stop()
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return fault.New(fault.KindOf(ctx.Err()), opFollow, "", context.Cause(ctx))
		case c := <-arrived:
			if c.Wrong != "" {
				return fault.Text(fault.Remote, opFollow, "", c.Wrong)
			}
			w.take(c)
			if due == nil && len(w.held) > 0 {
				due = time.After(settle)
			}
		case <-around.C: // without waiting: the bus may be away
			w.f.bus.Send(bus.Message{Subject: roster.SubjectStatus, Reply: w.present, Data: []byte("{}")})
		case one := <-there:
			w.join(one)
		case <-look.C:
			if len(arrived) == 0 { // else who is slow is us
				w.look(time.Now())
			}
		case <-due:
			due = nil
			sortLines(w.held)
			for _, l := range w.held {
				if err := w.Show(l); err != nil {
					return err
				}
			}
			w.held = nil
		}
	}
}

// take holds the lines of a chunk, unless it answers an older question.
func (w *LogFollower) take(c roster.LogChunk) {
	n := w.nodes[c.Node]
	if n == nil {
		n = &followed{stream: c.Stream}
		w.nodes[c.Node] = n
	}
	if c.Stream != n.stream {
		return
	}
	if n.heard = time.Now(); n.away {
		n.away = false
		w.told(c.Node, true)
	}
	if c.At != nil {
		n.at = c.At
	}
	for _, l := range c.Lines {
		if l.Stream == "node" || w.match(l) { // the node tells of lines that are lost, whatever the query is
			w.held = append(w.held, l)
		}
	}
}

// look asks the nodes that are away where they were.
func (w *LogFollower) look(now time.Time) {
	for id, n := range w.nodes {
		if n.stream == 0 || !n.away && now.Sub(n.heard) < silentAfter {
			continue
		}
		if !n.away {
			n.away, n.again, n.pause = true, now, 0
			w.told(id, false)
		}
		if !now.Before(n.again) {
			w.askAgain(id, n, now)
		}
	}
}

// join asks a node that was not there when all were asked, if it would have begun to answer.
func (w *LogFollower) join(one roster.Status) {
	id := one.Node
	if !one.Beats || w.nodes[id] != nil || !strings.HasPrefix(id, w.Query.Node) {
		return
	}
	n := &followed{heard: time.Now(), since: w.began}
	if w.askAgain(id, n, n.heard); n.stream > 0 { // else it is found again
		w.nodes[id] = n
	}
}

func (w *LogFollower) askAgain(id string, n *followed, now time.Time) {
	q := w.Query
	q.Node, q.After = id, n.at
	if q.Since.IsZero() {
		q.Since = n.since
	}
	if w.ask(q) == nil { // else there is no bus, either
		n.stream = w.stream
	}
	n.pause = min(askAgainMost, max(roster.LogBeat, 2*n.pause))
	n.again = now.Add(n.pause)
}
