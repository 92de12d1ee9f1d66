package logs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// MaxLine is the longest line; a longer one becomes several, and all but the last of
	// these end in Continues.
	MaxLine   = 16 << 10
	Continues = " [line continues]"

	lineCost  = 128         // what a line costs besides its text
	tellEvery = time.Second // between two lines about drops
)

// sink cuts a stream of bytes into lines. Its lock is taken before the store's.
type sink struct {
	store *Store
	base  Line

	mu       sync.Mutex // guards everything below
	part     []byte     // an unfinished line, at most MaxLine
	tokens   float64    // budget left
	filled   time.Time  // when tokens were added last
	dropping bool       // until tokens are back at a quarter of the burst
	lines    int        // dropped and not told of
	bytes    int64
	told     time.Time
	closed   bool
}

// Sink returns a writer for one stream of one process. Each line is base with
// Time and Text set. What is no UTF-8 is replaced by U+FFFD. Write may block for a
// write to the disk and fails only after Close; Close adds an unfinished line.
func (s *Store) Sink(base Line) io.WriteCloser {
	base.Time = time.Time{}
	return &sink{store: s, base: base, tokens: float64(s.opts.SinkBurst), filled: time.Now()}
}

// Write implements io.Writer.
func (k *sink) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, os.ErrClosed
	}
	k.refill()
	size := len(p)
	for len(p) > 0 {
		p = k.take(p)
	}
	return size, nil
}

// refill adds what time has earned. Once per Write is enough, and a clock
// reading for each line would cost more than dropping it.
func (k *sink) refill() {
	now := time.Now()
	earned := now.Sub(k.filled).Seconds() * float64(k.store.opts.SinkRate)
	k.tokens = min(float64(k.store.opts.SinkBurst), k.tokens+earned)
	k.filled = now
}

// take uses up one line of p, or less, and returns the rest.
func (k *sink) take(p []byte) []byte {
	text, rest, whole := bytes.Cut(p, []byte{'\n'})
	if room := MaxLine - len(k.part); len(text) > room {
		k.part = append(k.part, text[:room]...)
		cut := runeStart(k.part)
		k.emit(k.part[:cut], true)
		k.part = append(k.part[:0], k.part[cut:]...)
		return p[room:]
	}
	switch {
	case whole && len(k.part) == 0:
		k.emit(text, false)
	case whole:
		k.emit(append(k.part, text...), false)
		k.part = k.part[:0]
	default:
		k.part = append(k.part, text...)
	}
	return rest
}

// runeStart returns where to cut b so that no character is cut in two.
func runeStart(b []byte) int {
	for i := len(b) - 1; i >= max(1, len(b)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}

// emit appends a line to the store, or drops it when the budget is used up.
func (k *sink) emit(text []byte, more bool) {
	cost := float64(len(text) + lineCost)
	enough := cost
	if k.dropping { // not one line now and one then, but a stretch of them
		enough = max(cost, float64(k.store.opts.SinkBurst)/4)
	}
	if k.tokens >= enough {
		k.dropping = false
		k.tell()
		k.tokens -= cost
		k.append(clean(text, more))
		return
	}
	k.dropping = true
	if k.lines++; k.lines == 1 {
		k.store.listenTo(k)
	}
	k.bytes += int64(len(text))
	if !more {
		k.bytes++ // the newline
	}
}

func clean(text []byte, more bool) string {
	if more {
		return strings.ToValidUTF8(string(text), "\uFFFD") + Continues
	}
	return strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte{'\r'})), "\uFFFD")
}

func (k *sink) append(text string) {
	l := k.base
	l.Text = text
	// An error here is the disk's, which the store logs and counts, or the store is
	// closed. Neither is a reason to stop the process that prints.
	_ = k.store.Append(l)
}

// tell says what was dropped since it was said last.
func (k *sink) tell() {
	if k.lines == 0 {
		return
	}
	k.append(fmt.Sprintf("[%d lines, %d bytes dropped]", k.lines, k.bytes))
	k.lines, k.bytes, k.told = 0, 0, time.Now()
}

// Rest is the unfinished line, for a sink that goes on in its place.
func (k *sink) Rest() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.part)
}

// Close implements io.Closer.
func (k *sink) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.refill()
	if len(k.part) > 0 {
		k.emit(k.part, false)
		k.part = nil
	}
	k.tell()
	k.closed = true
	return nil
}

// tellNow tells of drops unless it did so just now; it reports whether it has to
// be called again.
func (k *sink) tellNow() (again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.told) < tellEvery {
		return k.lines > 0
	}
	k.tell()
	return false
}

// listenTo makes the store's goroutine tell of a sink's drops, should the process
// print no more.
func (s *Store) listenTo(k *sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.noisy[k] = struct{}{}
		s.wakeLocked()
	}
}

func (s *Store) tellDrops() {
	s.mu.Lock()
	noisy := s.noisy
	s.noisy = map[*sink]struct{}{}
	s.mu.Unlock()
	for k := range noisy {
		if k.tellNow() {
			s.listenTo(k)
		}
	}
}
