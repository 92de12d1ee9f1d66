package stocktest

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log is what a server has logged, as text. It is printed when its test fails.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
	news chan struct{} // closed with the next line
}

// NewLog returns an empty log.
func NewLog(t testing.TB) *Log {
	l := &Log{news: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l)
		}
	})
	return l
}

// Logger writes to the log.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write appends.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	close(l.news)
	l.news = make(chan struct{})
	return len(b), nil
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Await waits until the log holds a text a number of times.
func (l *Log) Await(t testing.TB, what string, times int) {
	t.Helper()
	for late := time.After(patience); ; {
		l.mu.Lock()
		n, news := strings.Count(l.text.String(), what), l.news
		l.mu.Unlock()
		if n >= times {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("the log does not hold %q %d times:\n%s", what, times, l)
		}
	}
}

// patience is how long the helpers wait: a busy machine is no error.
const patience = time.Minute
