package slogs

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const timeLayout = "2006-01-02T15:04:05.000"

// line is one being written.
type line struct {
	tag    Tag
	object Object
	own    bool   // an attribute said the object
	attrs  []byte // ' k=v' each
	sample []byte // instead of the text
}

// add takes an attribute: one of this package's for what it says, another as text.
func (l *line) add(prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindAny {
		switch own := v.Any().(type) {
		case Tag:
			l.tag = own
			return
		case Object:
			l.object, l.own = own, true
			return
		case samples:
			l.sample = own.append(l.sample)
			return
		}
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, one := range v.Group() {
			l.add(prefix, one)
		}
		return
	}
	if a.Key == "" && v.Equal(slog.Value{}) {
		return
	}
	l.attrs = append(l.attrs, ' ')
	l.attrs = appendValue(l.attrs, prefix+a.Key, "=")
	l.attrs = append(l.attrs, '=')
	l.attrs = appendAttr(l.attrs, v)
}

func appendAttr(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindTime:
		return v.Time().AppendFormat(b, time.RFC3339Nano)
	}
	return appendValue(b, v.String(), "=")
}

func (l *line) append(b []byte, pid int, at time.Time, text string) []byte {
	if pid != 0 {
		b = fmt.Appendf(b, "[%08d] ", pid)
	}
	b = at.UTC().AppendFormat(b, timeLayout)
	b = append(b, ' ', byte(l.tag), ' ')
	b = l.object.append(b)
	b = append(b, " - "...)
	if text = strings.TrimRight(text, "\r\n"); text != "" {
		b = appendEscaped(b, text)
	}
	b = append(b, l.sample...)
	b = append(b, l.attrs...)
	return append(b, '\n')
}

// appendEscaped keeps a text in one line: \n for a line end, and so on.
func appendEscaped(b []byte, text string) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < 0x7f || c == '\t' {
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, "\uFFFD"...)
		case strconv.IsPrint(r):
			b = append(b, text[i:i+size]...)
		default:
			quoted := strconv.QuoteRune(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		i += size
	}
	return b
}

// appendWord is a name that ends where another thing begins.
func appendWord(b []byte, text string) []byte {
	if strings.ContainsAny(text, "[] \t") {
		text = strings.Map(func(r rune) rune {
			if strings.ContainsRune("[] \t", r) {
				return '_'
			}
			return r
		}, text)
	}
	return appendEscaped(b, text)
}

// Line is one that was read.
type Line struct {
	PID    int // 0: the line does not say
	Time   time.Time
	Tag    Tag
	Object Object
	Text   string // escaped as it was
}

// tags are all there are.
const tags = "+X><()^?=!~&_"

// Parse reads a line of Format Seed, without its end. ok is false for another.
func Parse(text string) (l Line, ok bool) {
	if strings.HasPrefix(text, "[") {
		pid, rest, found := strings.Cut(text[1:], "] ")
		n, err := strconv.Atoi(pid)
		if !found || err != nil || len(pid) < 8 || n <= 0 || pid[0] == '+' {
			return Line{}, false
		}
		l.PID, text = n, rest
	}
	n := len(timeLayout)
	if len(text) < n+len(" ^ <00000000> - ") || text[n] != ' ' || text[n+2] != ' ' {
		return Line{}, false
	}
	var err error
	l.Tag = Tag(text[n+1])
	if l.Time, err = time.Parse(timeLayout, text[:n]); err != nil || strings.IndexByte(tags, byte(l.Tag)) < 0 {
		return Line{}, false
	}
	object, said, found := strings.Cut(text[n+3:], " - ")
	if !found {
		return Line{}, false
	}
	l.Object, ok = parseObject(object)
	l.Text = said
	return l, ok
}

// parseObject reads <00000010>name[STATE].
func parseObject(text string) (o Object, ok bool) {
	if len(text) < 10 || text[0] != '<' || text[9] != '>' {
		return o, false
	}
	addr, err := strconv.ParseUint(text[1:9], 16, 32)
	if err != nil || strings.ToLower(text[1:9]) != text[1:9] {
		return o, false
	}
	o.Addr, o.Name = uint32(addr), text[10:]
	if name, state, found := strings.Cut(o.Name, "["); found {
		state, found = strings.CutSuffix(state, "]")
		if !found || state == "" {
			return o, false
		}
		o.Name, o.State = name, state
	}
	return o, !strings.ContainsAny(o.Name+o.State, " []\t")
}
