package keeper

import (
	"bytes"
	"io"
	"sync"

	"github.com/universal-server/become/ground/slogs"
)

const (
	wordsKept  = 8 << 10
	wordsShown = 500
)

// words passes on what a process prints to standard error and keeps the end of it.
type words struct {
	next io.Writer // or nil

	mu       sync.Mutex
	tail     []byte
	headline string // of the newest crash that the tail has lost
}

// Write never fails: a log that cannot be written is no reason to lose the last words.
func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.tail = append(w.tail, b...)
	if extra := len(w.tail) - wordsKept; extra > 0 {
		w.keepHeadline(extra)
		w.tail = append(w.tail[:0], w.tail[extra:]...)
	}
	w.mu.Unlock()
	if w.next != nil {
		if _, err := w.next.Write(b); err != nil {
			w.next = nil
		}
	}
	return len(b), nil
}

// keepHeadline looks for the first line of a crash in what is about to be lost: after it come the stacks of
// all goroutines, which are longer than the tail.
func (w *words) keepHeadline(lost int) {
	at := 0
	for l := range bytes.Lines(w.tail) {
		if at >= lost {
			return
		}
		if isHeadline(l) {
			w.headline = shown(bytes.TrimSpace(l))
		}
		at += len(l)
	}
}

func isHeadline(line []byte) bool {
	return bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: "))
}

// isRoutine says that a line is of a log, and tells of no trouble: it is no reason.
func isRoutine(line []byte) bool {
	l, ok := slogs.Parse(string(line))
	return ok && l.Tag != slogs.Fault && l.Tag != slogs.Warning
}

// last returns the line that says most: the first of a panic, else the last one. crashed says that
// the process ended as a Go program does that crashes.
func (w *words) last(crashed bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []byte
	for l := range bytes.Lines(w.tail) {
		l = bytes.TrimSpace(l)
		if len(l) == 0 || isRoutine(l) {
			continue
		}
		found = l
		if isHeadline(l) {
			return shown(l)
		}
	}
	if crashed && w.headline != "" {
		return w.headline
	}
	return shown(found)
}

// shown bounds what a process says about itself.
func shown(text []byte) string {
	if len(text) > wordsShown {
		text = append(text[:wordsShown:wordsShown], "..."...)
	}
	return string(bytes.ToValidUTF8(text, []byte("?")))
}
