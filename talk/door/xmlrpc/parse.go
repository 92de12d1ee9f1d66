package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/elements"
	"github.com/universal-server/become/ground/message"
)

const maxDepth = 100

// parser reads the elements of a call or a response.
type parser struct {
	d     elements.Tokens
	depth int
}

// parse reads a call that a client sent.
func parse(data []byte) (method string, params []any, err error) {
	if s := newScanner(data); s != nil {
		method, params, err = (&parser{d: s}).call()
		if !s.left {
			return method, params, err
		}
	}
	return newParser(bytes.NewReader(data)).call()
}

func newParser(r io.Reader) *parser { return &parser{d: elements.NewDecoder(r)} }

// next returns the next start or end of an element; there is one.
func (p *parser) next() (xml.Token, error) {
	tok, err := elements.Next(p.d)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return tok, err
}

// text returns the text of an element whose start was read, and passes over its end.
func (p *parser) text() (string, error) { return elements.Text(p.d) }

// open passes over the start of an element of that name.
func (p *parser) open(name string) error {
	tok, err := p.next()
	if err != nil {
		return err
	}
	if start, ok := tok.(xml.StartElement); !ok || start.Name.Local != name {
		return fmt.Errorf("want <%s>, not %s", name, elements.Shown(tok))
	}
	return nil
}

// close passes over the end of an element.
func (p *parser) close() error {
	tok, err := p.next()
	if err != nil {
		return err
	}
	if _, ok := tok.(xml.EndElement); !ok {
		return fmt.Errorf("%s is out of place", elements.Shown(tok))
	}
	return nil
}

// each calls f at each start of an element of that name until the end of the one around them.
func (p *parser) each(name string, f func() error) error {
	for {
		tok, err := p.next()
		if err != nil {
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			return nil
		}
		if start.Name.Local != name {
			return fmt.Errorf("want <%s>, not %s", name, elements.Shown(tok))
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// call reads a methodCall.
func (p *parser) call() (method string, params []any, err error) {
	if err = p.open("methodCall"); err != nil {
		return
	}
	if err = p.open("methodName"); err != nil {
		return
	}
	if method, err = p.text(); err != nil {
		return
	}
	method = strings.TrimSpace(method)
	err = p.each("params", func() error {
		params, err = p.params()
		return err
	})
	return
}

func (p *parser) params() (all []any, err error) {
	err = p.each("param", func() error {
		if err := p.open("value"); err != nil {
			return err
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		all = append(all, v)
		return p.close()
	})
	return all, err
}

// value reads a value whose start was read, and passes over its end.
func (p *parser) value() (any, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("it is nested more than 100 levels deep")
	}
	defer func() { p.depth-- }()
	text, tok, err := elements.TextTo(p.d)
	if err != nil {
		return nil, err
	}
	start, ok := tok.(xml.StartElement)
	if !ok {
		return text, nil // without a type
	}
	if strings.TrimSpace(text) != "" {
		return nil, errors.New("a value has text beside its type")
	}
	v, err := p.typed(start.Name.Local)
	if err != nil {
		return nil, err
	}
	return v, p.close()
}

func (p *parser) typed(kind string) (any, error) {
	switch kind {
	case "array":
		return p.array()
	case "struct":
		return p.structure()
	}
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	v, err := word(kind, text)
	if err != nil {
		return nil, fmt.Errorf("<%.40s>%.40s: %w", kind, text, err)
	}
	return v, nil
}

// maxDigits bounds whole numbers of any length.
const maxDigits = 10_000

func word(kind, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	switch kind {
	case "int", "i1", "i2", "i4", "i8":
		return strconv.ParseInt(trimmed, 10, 64)
	case "biginteger":
		n, ok := new(big.Int), len(trimmed) <= maxDigits
		if ok {
			n, ok = n.SetString(trimmed, 10)
		}
		if !ok {
			return nil, errors.New("it is no whole number")
		}
		return n, nil
	case "double", "float":
		return strconv.ParseFloat(trimmed, 64)
	case "boolean":
		if trimmed != "0" && trimmed != "1" {
			return nil, errors.New("bad boolean value")
		}
		return trimmed == "1", nil
	case "string":
		return text, nil
	case "base64":
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	case "dateTime.iso8601":
		return parseTime(trimmed)
	case "nil":
		return nil, nil
	}
	return nil, errors.New("there is no such type")
}

func parseTime(text string) (any, error) {
	for _, layout := range []string{"20060102T15:04:05", "2006-01-02T15:04:05", "20060102T15:04:05Z07:00", time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return nil, errors.New("it is no time")
}

func (p *parser) array() (any, error) {
	if err := p.open("data"); err != nil {
		return nil, err
	}
	all := []any{}
	err := p.each("value", func() error {
		v, err := p.value()
		all = append(all, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, p.close()
}

func (p *parser) structure() (any, error) {
	all := message.Object{}
	seen := map[string]int{}
	err := p.each("member", func() error {
		if err := p.open("name"); err != nil {
			return err
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		if err := p.open("value"); err != nil {
			return err
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		if i, twice := seen[name]; twice {
			all[i].Value = v // as in Python, the last counts
		} else {
			seen[name] = len(all)
			all = append(all, message.Member{Name: name, Value: v})
		}
		return p.close()
	})
	return all, err
}
