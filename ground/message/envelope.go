package message

import (
	"bytes"

	"github.com/universal-server/become/ground/jsons"
)

// Unwrap takes a message, JSON, out of its envelope {"value": …}, if it is in one. What it returns is in the memory of data.
func (t *Type) Unwrap(data []byte) []byte {
	if t.Has("value") || !bytes.Contains(data[:min(len(data), 64)], []byte(`"value"`)) {
		return data
	}
	d := jsons.Read(data)
	defer d.Free()
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		return data
	}
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '"' || tok.String() != "value" {
		return data
	}
	inner, err := d.Value()
	if err != nil {
		return data
	}
	for d.PeekKind() != '}' { // what else older clients put there
		tok, err := d.ReadToken()
		if err != nil || tok.String() != "version" && tok.String() != "pointer" || d.SkipValue() != nil {
			return data
		}
	}
	d.ReadToken()
	if !d.End() {
		return data
	}
	return inner
}
