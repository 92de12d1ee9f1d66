package task

import (
	"strings"

	"github.com/universal-server/become/ground/trace"
)

// A pack's origin is one text on the wire: the boss's id, then a space and the place in a trace, if there is one, as traceparent has it, then a
// space and its tracestate. Why not fields of their own? Workers of before that take any text for an origin, and no field that they do
// not know.

// appendOrigin appends where a pack comes from.
func appendOrigin(dst []byte, p *Pack) []byte {
	if !p.Place.Valid() {
		return AppendText(dst, p.Origin)
	}
	return AppendText(dst, p.Origin+" "+PlaceText(p.Place))
}

// splitOrigin takes it apart. What is no place is none.
func splitOrigin(text string) (origin string, place trace.Place) {
	origin, rest, found := strings.Cut(text, " ")
	if found {
		place = ParsePlace(rest)
	}
	return origin, place
}

// PlaceText is a place in one text: traceparent, and tracestate after a space. Empty for none.
func PlaceText(p trace.Place) string {
	if p.State == "" || !p.Valid() {
		return p.String()
	}
	return p.String() + " " + p.State
}

// ParsePlace reads what PlaceText wrote. What is no place is none.
func ParsePlace(text string) trace.Place {
	parent, state, _ := strings.Cut(text, " ")
	p, _ := trace.Parse(parent, state)
	return p
}
