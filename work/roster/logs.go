package roster

import "time"

// LogQuery asks for log lines: the newest Count, or with Page a part of them.
type LogQuery struct {
	// Of narrows the answer to lines of any of these: names, beginnings of bundles' digests, or of workers' ids.
	Of []string `json:"of,omitempty"`
	// Node is the beginning of the id of who is to answer; empty means all.
	Node string `json:"node,omitempty"`
	// Since ≤ time < Until; zero is no bound.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Grep is a regular expression (RE2) that the text matches; empty means all.
	Grep string `json:"grep,omitempty"`
	// Samples leaves samples only, see package slogs.
	Samples bool `json:"samples,omitempty"`
	// Count bounds the answer to the newest lines. Default 1000.
	Count int `json:"count,omitempty"`
	// Page, if it is not 0, asks for at most so many lines, the oldest first, from After on. The answer is one chunk.
	Page  int          `json:"page,omitempty"`
	After *LogPosition `json:"after,omitempty"`

	Follow bool   `json:"follow,omitempty"` // keep sending new lines until Stop subject gets a message
	Stop   string `json:"stop,omitempty"`   // subject that ends following
	// Stream, if it is not 0, is in each chunk of the answer to Follow, of which there is one every LogBeat at least. With After they are the lines
	// from there on, however many.
	Stream uint64 `json:"stream,omitempty"`
}

// LogBeat is how often who is followed says that it is there.
const LogBeat = 500 * time.Millisecond

// LogPosition is a place in a node's log.
type LogPosition struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

// LogLine is one line of a process's output.
type LogLine struct {
	Time   time.Time `json:"time"`
	Node   string    `json:"node"`
	Bundle string    `json:"bundle"`
	Name   string    `json:"name"`
	Worker string    `json:"worker"`
	PID    int       `json:"pid,omitempty"`
	Stream string    `json:"stream"` // stdout, stderr, node
	Text   string    `json:"text"`
}

// LogChunk answers a LogQuery; the last one of a node has End set. While it searches, and does not follow, a node sends one without
// lines at once, and then each SearchSays.
type LogChunk struct {
	Node  string    `json:"node"`
	Lines []LogLine `json:"lines"`
	// Next is where the next page begins; nil if there is none.
	Next *LogPosition `json:"next,omitempty"`
	End  bool         `json:"end,omitempty"`
	// Stream is the question's, and At where the last of the lines ends. Both are of Follow.
	Stream uint64       `json:"stream,omitempty"`
	At     *LogPosition `json:"at,omitempty"`
	// Wrong says why there is no answer.
	Wrong string `json:"wrong,omitempty"`
}

// SearchSays is how often a node says that it still searches.
const SearchSays = 500 * time.Millisecond
