package slogs

import (
	"log/slog"
	"strconv"
	"strings"
)

// samples are the values of a sample. Its text is k=v:k=v; a value with other than plain characters is quoted.
type samples []slog.Attr

// MarshalText is the text, for JSON and text.
func (s samples) MarshalText() ([]byte, error) { return s.append(nil), nil }

func (s samples) append(b []byte) []byte {
	for i, a := range s {
		if i > 0 {
			b = append(b, ':')
		}
		b = appendValue(b, a.Key, ":=")
		b = append(b, '=')
		b = appendValue(b, a.Value.Resolve().String(), ":=")
	}
	return b
}

// appendValue quotes what a reader would take for more than one word.
func appendValue(b []byte, text, special string) []byte {
	plain := text != "" && strings.IndexFunc(text, func(r rune) bool {
		return r <= ' ' || r == '"' || r == 0x7f || r == 0xfffd || !strconv.IsPrint(r) || strings.ContainsRune(special, r)
	}) < 0
	if plain {
		return append(b, text...)
	}
	return strconv.AppendQuote(b, text)
}

// ParseSample reads the text of a sample: its values by their names. ok is false for what is none.
func ParseSample(text string) (values map[string]string, ok bool) {
	values = map[string]string{}
	for first := true; text != "" || first; first = false {
		if !first {
			if text[0] != ':' {
				return nil, false
			}
			text = text[1:]
		}
		key, rest, ok := word(text)
		if !ok || key == "" || !strings.HasPrefix(rest, "=") {
			return nil, false
		}
		if values[key], text, ok = word(rest[1:]); !ok {
			return nil, false
		}
	}
	return values, true
}

// word cuts a word, quoted or plain, off a text.
func word(text string) (w, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		if i := strings.IndexAny(text, ":="); i >= 0 {
			return text[:i], text[i:], true
		}
		return text, "", true
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	w, err = strconv.Unquote(quoted)
	return w, text[len(quoted):], err == nil
}
