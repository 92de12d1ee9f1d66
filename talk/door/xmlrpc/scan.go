package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"io"
	"unicode/utf8"
)

// scanner reads the XML that XML-RPC clients write: elements without attributes, and text. All else, as an attribute, a
// comment, a colon or what is no XML, it leaves to encoding/xml. Its tokens are those of encoding/xml, without the declaration.
//
// Why two readers? Calls are small, and encoding/xml takes two thirds of the time that one takes here.
type scanner struct {
	rest  []byte
	open  []*element
	empty bool // the end of an element without content is next
	left  bool // it has met what encoding/xml is to judge

	few [8]*element // of open
}

// newScanner returns nil for what the scanner does not read.
func newScanner(data []byte) *scanner {
	if bytes.Contains(data, []byte("\xef\xbf")) || !utf8.Valid(data) { // of these are the two code points that XML has not
		return nil
	}
	s := &scanner{rest: withoutDeclaration(data)}
	s.open = s.few[:0]
	return s
}

// Token returns the next one, as an xml.Decoder does. The error is io.EOF, at the end or when the rest is left.
func (s *scanner) Token() (xml.Token, error) {
	if s.empty {
		s.empty = false
		return s.close(), nil
	}
	var tok xml.Token
	switch {
	case len(s.rest) == 0 && len(s.open) == 0:
		return nil, io.EOF
	case len(s.rest) == 0:
	case s.rest[0] == '<':
		tok = s.tag()
	default:
		tok = s.text()
	}
	if tok == nil {
		s.left, s.rest = true, nil
		return nil, io.EOF
	}
	return tok, nil
}

func (s *scanner) close() xml.Token {
	last := len(s.open) - 1
	tok := s.open[last].end
	s.open = s.open[:last]
	return tok
}

// element is the two tokens of an element that are the same each time.
type element struct {
	name       string
	start, end xml.Token
}

func elementOf(name string) *element {
	n := xml.Name{Local: name}
	return &element{name, xml.StartElement{Name: n, Attr: []xml.Attr{}}, xml.EndElement{Name: n}}
}

// known are the elements of XML-RPC.
var known = func() map[string]*element {
	all := map[string]*element{}
	for _, name := range []string{
		"methodCall", "methodName", "params", "param", "value", "int", "i4", "i8", "boolean", "string", "double",
		"dateTime.iso8601", "base64", "struct", "member", "name", "array", "data", "nil",
	} {
		all[name] = elementOf(name)
	}
	return all
}()

// declarations are those that clients write.
var declarations = [][]byte{
	[]byte("<?xml version='1.0'?>"), []byte(`<?xml version="1.0"?>`),
	[]byte("<?xml version='1.0' encoding='utf-8'?>"), []byte(`<?xml version="1.0" encoding="utf-8"?>`), []byte(`<?xml version="1.0" encoding="UTF-8"?>`),
}

func withoutDeclaration(data []byte) []byte {
	for _, d := range declarations {
		if rest, ok := bytes.CutPrefix(data, d); ok {
			return rest
		}
	}
	return data
}

// tag reads <name>, <name/> or </name>; nil for anything else.
func (s *scanner) tag() xml.Token {
	to := bytes.IndexByte(s.rest, '>')
	if to < 2 {
		return nil
	}
	inside := s.rest[1:to]
	s.rest = s.rest[to+1:]
	if inside[0] == '/' {
		last := len(s.open) - 1
		if last < 0 || string(bytes.TrimRight(inside[1:], " ")) != s.open[last].name {
			return nil
		}
		return s.close()
	}
	name, empty := bytes.CutSuffix(inside, []byte("/"))
	name = bytes.TrimRight(name, " ")
	e, ok := known[string(name)]
	if !ok {
		if !isName(name) {
			return nil
		}
		e = elementOf(string(name))
	}
	s.open, s.empty = append(s.open, e), empty
	return e.start
}

// isName says whether it is a name of letters, digits and few signs.
func isName(name []byte) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return len(name) > 0
}

// references are the five that XML has by itself.
var references = map[string]byte{"lt": '<', "gt": '>', "amp": '&', "apos": '\'', "quot": '"'}

// text reads what is before the next tag; nil for what encoding/xml is to judge. It shares the memory of the data.
func (s *scanner) text() xml.Token {
	to := bytes.IndexByte(s.rest, '<')
	if to < 0 {
		to = len(s.rest)
	}
	raw := s.rest[:to]
	s.rest = s.rest[to:]
	for _, c := range raw {
		switch {
		case c == '&':
			return resolved(raw)
		case strange(c):
			return nil
		}
	}
	return xml.CharData(raw)
}

// strange says whether a character is for encoding/xml. '>' may end a section that never began.
func strange(c byte) bool { return c < ' ' && c != '\t' && c != '\n' || c == '>' }

// resolved is a text with what its references stand for, or nil.
func resolved(raw []byte) xml.Token {
	all := make(xml.CharData, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '&':
			length := bytes.IndexByte(raw[i:], ';')
			if length < 0 {
				return nil
			}
			is, ok := references[string(raw[i+1:i+length])]
			if !ok {
				return nil
			}
			all = append(all, is)
			i += length
		case strange(c):
			return nil
		default:
			all = append(all, c)
		}
	}
	return all
}
