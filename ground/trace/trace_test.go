package trace_test

import (
	"strings"
	"testing"

	"github.com/universal-server/become/ground/trace"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParse_ReadsWhatIsWellFormed(t *testing.T) {
	for text, want := range map[string]string{
		parent: parent,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":       "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-later": parent,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later": "",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01later":  "",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":       "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":       "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":       "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01":       "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0":        "",
		"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":       "",
		"": "", "\xff": "",
	} {
		p, ok := trace.Parse(text, "")
		if ok != (want != "") || p.String() != want {
			t.Errorf("%s: got %s, %v", text, p, ok)
		}
	}
}

func TestParse_LeavesOutABadState(t *testing.T) {
	for state, want := range map[string]string{"a=1, b=2": "a=1, b=2", "a=\n": "", strings.Repeat("a", 513): ""} {
		if p, ok := trace.Parse(parent, state); !ok || p.State != want {
			t.Errorf("%.20q: got %q, %v", state, p.State, ok)
		}
	}
}

func TestMark_IsPassedOn(t *testing.T) {
	place, _ := trace.Parse(parent, "a=1")
	ctx := trace.Mark(t.Context(), "id", place)
	got := map[string]string{}
	trace.Inject(ctx, func(name, value string) { got[name] = value })
	if got["X-Request-Id"] != "id" || got["traceparent"] != parent || got["tracestate"] != "a=1" || trace.RequestID(ctx) != "id" {
		t.Errorf("got %v", got)
	}
	trace.Inject(t.Context(), func(name, value string) { t.Errorf("got %s: %s", name, value) })
	if a, b := trace.NewRequestID(), trace.NewRequestID(); a == b || !trace.GoodRequestID(a) {
		t.Errorf("got %s and %s", a, b)
	}
	for _, bad := range []string{"", "a b", "a\n", "ä", strings.Repeat("a", 129)} {
		if trace.GoodRequestID(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(parent, "a=1")
	f.Fuzz(func(t *testing.T, parent, state string) {
		p, ok := trace.Parse(parent, state)
		if !ok {
			return
		}
		if again, ok := trace.Parse(p.String(), p.State); !ok || again.Trace != p.Trace || again.Span != p.Span || again.State != p.State {
			t.Errorf("%q: got %v, then %v", parent, p, again)
		}
	})
}
