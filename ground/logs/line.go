package logs

import (
	"bytes"
	"encoding/json"
	"time"
)

// Streams of a line.
const (
	Stdout = "stdout"
	Stderr = "stderr"
	// Node marks what the node itself has to say: about drops and losses here.
	Node = "node"
)

// Line is one line of a process's output. Its fields are those of the line that
// travels (roster.LogLine), in the same order, so that one converts to the other.
type Line struct {
	Time   time.Time `json:"time"`
	Node   string    `json:"node,omitempty"` // usually filled by whoever sends it on
	Bundle string    `json:"bundle,omitempty"`
	Name   string    `json:"name,omitempty"`
	Worker string    `json:"worker,omitempty"`
	PID    int       `json:"pid,omitempty"`
	Stream string    `json:"stream,omitempty"`
	Text   string    `json:"text"`
}

// Query selects lines. The zero query selects all.
type Query struct {
	// Since and Until bound the lines' times: Since ≤ time < Until. Zero is no bound.
	Since, Until time.Time
	// Count selects the newest Count of the lines that are there; 0 selects all of
	// them, and a negative number none, which makes sense in Follow.
	Count int
	// Match narrows the selection. It may be called more than once for a line. Nil
	// matches all.
	Match func(Line) bool
}

func (q *Query) selects(l Line) bool {
	return !l.Time.Before(q.Since) &&
		(q.Until.IsZero() || l.Time.Before(q.Until)) &&
		(q.Match == nil || q.Match(l))
}

// parse reads one record. What is no record, after a torn write for instance, is
// skipped by readers.
func parse(b []byte) (Line, bool) {
	var l Line
	err := json.Unmarshal(b, &l)
	return l, err == nil && !l.Time.IsZero()
}

// timeOf reads the time of a record, which is written first, and nothing else of it where it can.
func timeOf(b []byte) (time.Time, bool) {
	if rest, ok := bytes.CutPrefix(b, []byte(`{"time":"`)); ok {
		if text, _, ok := bytes.Cut(rest, []byte{'"'}); ok {
			if t, err := time.Parse(time.RFC3339Nano, string(text)); err == nil && !t.IsZero() {
				return t, true
			}
		}
	}
	l, ok := parse(b)
	return l.Time, ok
}
