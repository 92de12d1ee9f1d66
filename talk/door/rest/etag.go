package rest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

// etag names a representation: what it is of, its format, and whether it is packed; each of these is another one (RFC 9110, 8.8.3).
func etag(revision string, format *media.Format, packed bool) string {
	tag := `"` + tagged(revision) + "." + format.Name
	if packed {
		tag += "+gzip"
	}
	return tag + `"`
}

// tagged writes a revision with the characters that a tag may have, of which '%' is not a plain one.
func tagged(revision string) string {
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' && c != '\\' && c != ',' }
	for i := range len(revision) {
		if plain(revision[i]) {
			continue
		}
		var b strings.Builder
		for j := range len(revision) {
			if c := revision[j]; plain(c) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	}
	return revision
}

// tag is an element of If-Match or If-None-Match.
type tag struct {
	text string // with its quotes, or "*"
	weak bool
}

// tags reads a field of a request. The error is a problem, 400, for what is no list of tags.
func tags(name string, fields []string) (all []tag, err error) {
	for _, rest := range fields {
		for rest = strings.TrimLeft(rest, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
			if rest[0] == '*' {
				all, rest = append(all, tag{text: "*"}), rest[1:]
				continue
			}
			var t tag
			rest, t.weak = strings.CutPrefix(rest, "W/")
			end := strings.IndexByte(rest[min(1, len(rest)):], '"')
			if !strings.HasPrefix(rest, `"`) || end < 0 {
				return nil, problem.New(http.StatusBadRequest, name+" must be ETags with their quotes, or *")
			}
			t.text, rest = rest[:end+2], rest[end+2:]
			all = append(all, t)
		}
	}
	return all, nil
}

// of says whether a tag is of an item with that revision, in whatever format.
func (t tag) of(revision string) bool {
	if t.text == "*" {
		return true
	}
	text := strings.Trim(t.text, `"`)
	dot := strings.LastIndexByte(text, '.')
	return dot >= 0 && text[:dot] == tagged(revision) && formatNamed(strings.TrimSuffix(text[dot+1:], "+gzip")) != nil
}

// conditions are those of a request.
type conditions struct {
	match, none       []tag
	hasMatch, hasNone bool
}

func conditionsOf(r *http.Request) (c conditions, err error) {
	match, none := r.Header["If-Match"], r.Header["If-None-Match"]
	c.hasMatch, c.hasNone = match != nil, none != nil
	if c.match, err = tags("If-Match", match); err == nil {
		c.none, err = tags("If-None-Match", none)
	}
	return c, err
}

// failed says which condition of a request for a change does not hold (RFC 9110, 13.2.2). now is nil when there is no item.
func (c conditions) failed(r *http.Request, now *item, required bool) error {
	switch {
	case c.hasMatch:
		if now == nil || !holds(c.match, now.revision, true) {
			return precondition("If-Match does not hold: the item has changed, or is no more")
		}
	case now != nil && compare(r, "If-Unmodified-Since", now) == over:
		return precondition("If-Unmodified-Since does not hold: the item has changed")
	}
	if now != nil && holds(c.none, now.revision, false) {
		return precondition("If-None-Match does not hold: there is an item")
	}
	if required && now != nil && !c.hasMatch && !c.hasNone {
		p := problem.New(http.StatusPreconditionRequired, "a change of what exists needs If-Match with its ETag")
		p.Hint = "get the item, and send its ETag as If-Match"
		return p
	}
	return nil
}

func precondition(text string) error {
	p := problem.New(http.StatusPreconditionFailed, text)
	p.Kind, p.Hint = "conflict", "get the item again, and decide anew"
	return p
}

// holds says whether one of the tags is of the revision; weak ones are none where it must be sure.
func holds(all []tag, revision string, strong bool) bool {
	for _, t := range all {
		if !(strong && t.weak) && t.of(revision) {
			return true
		}
	}
	return false
}

// since is what a date in a request says of an item.
type since int

const (
	unknown since = iota // there is no date, or none to compare with
	over                 // it was changed since
	still                // it was not
)

// compare reads a date of a request.
func compare(r *http.Request, name string, now *item) since {
	text := r.Header.Get(name)
	if text == "" || now.modified.IsZero() {
		return unknown
	}
	date, err := http.ParseTime(text)
	switch {
	case err != nil:
		return unknown
	case now.modified.Truncate(time.Second).After(date):
		return over
	}
	return still
}

// fresh says whether a client that asks for a representation has it already. now is nil for what has no date.
func (c conditions) fresh(r *http.Request, tag string, now *item) bool {
	if c.hasNone {
		for _, t := range c.none {
			if t.text == "*" || t.text == tag {
				return true
			}
		}
		return false
	}
	return now != nil && compare(r, "If-Modified-Since", now) == still
}

// unmet says whether a read has a condition that does not hold.
func (c conditions) unmet(r *http.Request, tag string, now *item) error {
	if c.hasMatch {
		for _, t := range c.match {
			if !t.weak && (t.text == "*" || t.text == tag) {
				return nil
			}
		}
		return precondition("If-Match does not hold: there is " + tag)
	}
	if now != nil && compare(r, "If-Unmodified-Since", now) == over {
		return precondition("If-Unmodified-Since does not hold: it has changed")
	}
	return nil
}
