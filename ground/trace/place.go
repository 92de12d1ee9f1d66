package trace

import (
	"encoding/hex"
	"strings"
)

// The names of the header fields, as buses write them, whose names are case-sensitive; HTTP does not mind.
const (
	ParentField  = "traceparent"
	StateField   = "tracestate"
	RequestField = "X-Request-Id"
)

// Place is a span in a trace. The zero value is none.
type Place struct {
	Trace [16]byte
	Span  [8]byte
	Flags byte   // 1: it is recorded
	State string // what vendors add; passed on unread
}

// Valid says whether there is a place at all.
func (p Place) Valid() bool { return p.Trace != [16]byte{} && p.Span != [8]byte{} }

// Sampled says whether the trace is recorded.
func (p Place) Sampled() bool { return p.Flags&1 != 0 }

// maxState is how long a tracestate may be to be passed on: the standard's least.
const maxState = 512

// Parse reads the values of traceparent and tracestate; false if there is no place in them. Of later versions it
// reads what version 0 has, as the standard asks. A tracestate that is too long, or not of visible ASCII, is left out.
func Parse(parent, state string) (p Place, ok bool) {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(parent) < length || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' || len(parent) > maxState {
		return Place{}, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		text string
	}{{version[:], parent[:2]}, {p.Trace[:], parent[3:35]}, {p.Span[:], parent[36:52]}, {flags[:], parent[53:55]}} {
		if strings.ContainsAny(part.text, "ABCDEF") {
			return Place{}, false
		}
		if _, err := hex.Decode(part.to, []byte(part.text)); err != nil {
			return Place{}, false
		}
	}
	switch later := len(parent) > length; {
	case version[0] == 0xff, version[0] == 0 && later, later && parent[length] != '-', !p.Valid():
		return Place{}, false
	}
	p.Flags = flags[0]
	if len(state) <= maxState && visible(strings.ReplaceAll(state, " ", "")) {
		p.State = state
	}
	return p, true
}

// String is the value of traceparent; empty for none.
func (p Place) String() string {
	if !p.Valid() {
		return ""
	}
	b := make([]byte, 0, 55)
	b = hex.AppendEncode(append(b, "00-"...), p.Trace[:])
	b = hex.AppendEncode(append(b, '-'), p.Span[:])
	b = hex.AppendEncode(append(b, '-'), []byte{p.Flags & 1})
	return string(b)
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
