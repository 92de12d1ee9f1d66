package message

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Unwrap takes a message, JSON, out of its envelope {"value": …}, if it is in one.
func (t *Type) Unwrap(data []byte) []byte {
	if t.Has("value") || !bytes.Contains(data[:min(len(data), 64)], []byte(`"value"`)) {
		return data
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		return data
	}
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '"' || tok.String() != "value" {
		return data
	}
	value, err := d.ReadValue()
	if err != nil {
		return data
	}
	inner := bytes.Clone(value)
	for d.PeekKind() != '}' { // what else older clients put there
		tok, err := d.ReadToken()
		if err != nil || tok.String() != "version" && tok.String() != "pointer" || d.SkipValue() != nil {
			return data
		}
	}
	d.ReadToken()
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return data
	}
	return inner
}
