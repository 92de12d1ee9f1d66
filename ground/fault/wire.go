package fault

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// Bounds on what travels. Longer chains and texts are cut, never refused: an
// error must arrive.
const (
	MaxDepth = 16
	MaxText  = 64 << 10
)

var errShort = errors.New("error record is cut short")

// Marshal appends the wire form of err to dst: the number of links, then for
// each link its kind and five length-prefixed texts. A link that is no *Error, or
// the last one there is room for, travels as its text: everything below it is already
// part of that text.
func Marshal(dst []byte, err error) []byte {
	start := len(dst)
	dst = append(dst, 0)
	depth := 0
	for err != nil {
		depth++
		e, ok := err.(*Error)
		if !ok || e == nil || depth == MaxDepth {
			dst = append(dst, byte(KindOf(err)))
			dst = appendText(dst, "", "", Hint(err), Stack(err), text(err))
			break
		}
		dst = append(dst, byte(e.Kind))
		dst = appendText(dst, e.Op, e.ID, e.Hint, e.Stack, "")
		err = e.Err
	}
	dst[start] = byte(depth)
	return dst
}

// text is what the error says; one that panics saying it must not take its
// process along.
func text(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = "an error that cannot say what it is"
		}
	}()
	return err.Error()
}

func appendText(dst []byte, texts ...string) []byte {
	for _, s := range texts {
		s = cut(s)
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// cut shortens a text to MaxText, at a border of two characters.
func cut(s string) string {
	if len(s) <= MaxText {
		return s
	}
	n := MaxText
	for n > MaxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Unmarshal reads an error written by Marshal and returns the bytes after it.
// The second error says why b is no such record.
func Unmarshal(b []byte) (decoded error, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errShort
	}
	depth := int(b[0])
	if depth > MaxDepth {
		return nil, nil, errors.New("error record has too many links")
	}
	b = b[1:]
	links := make([]*Error, 0, depth)
	for range depth {
		if len(b) == 0 {
			return nil, nil, errShort
		}
		e := &Error{Kind: Kind(b[0])}
		if e.Kind >= kinds {
			e.Kind = Internal
		}
		b = b[1:]
		var text string
		for _, field := range []*string{&e.Op, &e.ID, &e.Hint, &e.Stack, &text} {
			n, size := binary.Uvarint(b)
			if size <= 0 || n > MaxText || uint64(len(b)-size) < n {
				return nil, nil, errShort
			}
			*field = string(b[size : size+int(n)])
			b = b[size+int(n):]
		}
		if text != "" {
			e.Err = errors.New(text)
		}
		links = append(links, e)
	}
	for i := len(links) - 1; i > 0; i-- {
		links[i-1].Err = links[i]
	}
	if depth == 0 {
		return nil, b, nil
	}
	return links[0], b, nil
}
