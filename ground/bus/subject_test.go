package bus_test

import (
	"strings"
	"testing"

	"github.com/universal-server/become/ground/bus"
)

func TestValid_NamesKeysAndSubjects(t *testing.T) {
	for s, want := range map[string][4]bool{ // name, key, subject, pattern
		"a":       {true, true, true, true},
		"a-b_9":   {true, true, true, true},
		"a.b":     {false, true, true, true},
		"a/b=c":   {false, true, true, true},
		"a..b":    {},
		".a":      {},
		"a.":      {},
		"":        {},
		"*":       {false, false, false, true},
		"a.*.b":   {false, false, false, true},
		"a.>":     {false, false, false, true},
		"a.>.b":   {},
		"a*":      {false, false, true, true}, // no wildcard: not a token of its own
		"a b":     {},
		"a\r\nb":  {},
		"$JS.API": {false, false, true, true},
	} {
		got := [4]bool{bus.ValidName(s), bus.ValidKey(s), bus.ValidSubject(s, false), bus.ValidSubject(s, true)}
		if got != want {
			t.Errorf("%q: name, key, subject, pattern = %v, want %v", s, got, want)
		}
	}
}

func TestMatch_AndOverlap(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		match, overlap   bool
	}{
		{"a", "a", true, true}, {"a", "b", false, false}, {"*", "a", true, true}, {"*", "a.b", false, false},
		{">", "a.b", true, true}, {"a.>", "a", false, false}, {"a.>", "a.b.c", true, true}, {"a.*.c", "a.b.c", true, true},
		{"a.*.c", "a.b.d", false, false}, {"a.b", "a.b.c", false, false}, {"a.b.c", "a.b", false, false},
		{"a.*", "*.b", false, true}, {"a.*.x", "a.b.*", false, true}, {"a.*.x", "a.*.y", false, false},
		{"a.>", "a.b.*", true, true}, {"a.*", "a.>", true, true},
	} {
		if got := bus.Match(c.pattern, c.subject); got != c.match {
			t.Errorf("Match(%s, %s) = %v", c.pattern, c.subject, got)
		}
		if bus.Overlap(c.pattern, c.subject) != c.overlap || bus.Overlap(c.subject, c.pattern) != c.overlap {
			t.Errorf("Overlap(%s, %s) is not %v both ways", c.pattern, c.subject, c.overlap)
		}
	}
}

func FuzzSubjects(f *testing.F) {
	f.Add("a.*.c", "a.b.c")
	f.Add("a.>", "a.b")
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		if !bus.ValidSubject(pattern, true) || !bus.ValidSubject(subject, false) {
			return
		}
		if bus.Match(pattern, subject) && !bus.Overlap(pattern, subject) {
			t.Errorf("%q matches %q and does not overlap it", pattern, subject)
		}
		if !bus.Match(subject, subject) || !bus.Match(">", subject) || strings.ContainsAny(subject, " \r\n") {
			t.Errorf("%q", subject)
		}
	})
}

func TestIsInbox(t *testing.T) {
	for subject, want := range map[string]bool{
		"_INBOX.abc": true, "_INBOX.c_me.abc": true, "_INBOX_alice.abc": true, "_R_.abc.def": true, "_GR_.a.b._INBOX.c": true,
		"": false, "become.want": false, "$KV.become_names.x": false, "$JS.API.INFO": false, "$JS.ACK.a.b": false, "crunch.Multiply": false, "_R.x": false,
	} {
		if got := bus.IsInbox(subject); got != want {
			t.Errorf("%q: got %t", subject, got)
		}
	}
}
