package keeper

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCrashes_WaitLongerEachTime(t *testing.T) {
	o := (&Options{MaxCrashes: 5}).withDefaults()
	var c crashes
	now := time.Now()
	ms := time.Millisecond
	for i, want := range []time.Duration{0, 20 * ms, 40 * ms, 80 * ms, 160 * ms, o.RetryFailed, o.RetryFailed} {
		if got := c.add(&o, now, 0); got != want {
			t.Errorf("death %d: got %v, want %v", i+1, got, want)
		}
	}
	// It stays failed although the minute is over: only a steady life clears it.
	if got := c.add(&o, now.Add(2*time.Minute), 0); got != o.RetryFailed || len(c.all) != 1 {
		t.Errorf("got %v, %d deaths", got, len(c.all))
	}
	if got := c.add(&o, now.Add(2*time.Minute), o.Steady); got != 0 || c.failed {
		t.Errorf("got %v, failed %v", got, c.failed)
	}
}

func TestCrashes_AccidentsDoNotCountAsARow(t *testing.T) {
	o := (&Options{}).withDefaults()
	var c crashes
	now := time.Now()
	for i := range 10 * o.MaxCrashes {
		if got := c.add(&o, now, time.Second); got != 0 {
			t.Fatalf("death %d: got %v", i+1, got)
		}
	}
	if got := c.add(&o, now, time.Second); got != o.RetryFailed {
		t.Errorf("got %v: so many within a minute are too many", got)
	}
	if got := c.add(&o, now.Add(time.Minute), time.Second); got != 0 {
		t.Errorf("got %v a minute later", got)
	}
}

func TestCrashes_BackoffIsBounded(t *testing.T) {
	o := (&Options{MaxCrashes: 1000}).withDefaults()
	var c crashes
	now := time.Now()
	for range 100 {
		if got := c.add(&o, now, 0); got < 0 || got > o.BackoffMost {
			t.Fatalf("got %v", got)
		}
	}
	for range 100 {
		if got := jitter(time.Second); got < time.Second/2 || got > time.Second {
			t.Fatalf("got %v", got)
		}
	}
	if jitter(0) != 0 {
		t.Error("jitter of nothing")
	}
}

func TestWords_KeepWhatMatters(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"\n \n":                             "",
		"one\ntwo\n\n":                      "two",
		"x\npanic: boom\n\ngoroutine 1\n\t": "panic: boom",
		"a\xffb":                            "a?b",
		// What a log says of no trouble is no reason for an end.
		"why\n2026-11-21T17:07:39.777 ^ <00000010>crunch - serving at=x\n":     "why",
		"2026-11-21T17:07:39.777 < <00000010>crunch - Received Multiply\n":     "",
		"x\n2026-11-21T17:07:39.777 ! <00000010>crunch - out of memory soon\n": "2026-11-21T17:07:39.777 ! <00000010>crunch - out of memory soon",
		strings.Repeat("y", 20_000):                                            strings.Repeat("y", wordsShown) + "...",
	} {
		var w words
		w.Write([]byte(text))
		if got := w.last(true); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if len(w.tail) > wordsKept {
			t.Errorf("kept %d bytes", len(w.tail))
		}
	}
}

func TestWords_FindACrashBeforeItsStacks(t *testing.T) {
	var w words
	fmt.Fprint(&w, "panic: an old story\n", strings.Repeat("serving\n", 2000), "half a line, then\nfatal er", "ror: out of memory\n\n")
	for range 2000 {
		fmt.Fprint(&w, "runtime.gopark(0x0?, 0x0?)\n\truntime/proc.go:462 +0xce\n")
	}
	if got := w.last(true); got != "fatal error: out of memory" {
		t.Errorf("got %q", got)
	}
	if got := w.last(false); got != "runtime/proc.go:462 +0xce" {
		t.Errorf("got %q of a process that ended otherwise", got)
	}
}
