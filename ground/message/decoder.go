package message

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// decoder reads a value and goes on after problems, until the text itself is broken.
type decoder struct {
	d        *jsontext.Decoder
	text     bytes.Buffer // jsontext reads where it is what a buffer of this type holds
	path     []step
	problems Problems
	broken   bool // nothing more can be read
	lenient  bool // see Restore
}

// decoders are used again: half of the time that a small message takes goes to making one.
var decoders = sync.Pool{New: func() any { return &decoder{d: jsontext.NewDecoder(nothing)} }}

var nothing = strings.NewReader("")

// read reads a text that is one value.
func (t *Type) read(data []byte, v reflect.Value, lenient bool) error {
	d := decoders.Get().(*decoder)
	d.text = *bytes.NewBuffer(data)
	d.d.Reset(&d.text)
	d.path, d.lenient = d.path[:0], lenient
	d.value(t, v)
	if !d.broken {
		if _, err := d.d.ReadToken(); !errors.Is(err, io.EOF) {
			d.problem("something follows the value")
		}
	}
	problems := d.problems
	d.free()
	if problems != nil {
		return problems
	}
	return nil
}

// free gives a decoder back. It keeps nothing of what it has read.
func (d *decoder) free() {
	d.d.Reset(nothing)
	d.text, d.problems, d.broken = bytes.Buffer{}, nil, false
	clear(d.path[:cap(d.path)])
	decoders.Put(d)
}

func (d *decoder) token() (jsontext.Token, bool) {
	tok, err := d.d.ReadToken()
	if err != nil {
		d.syntax(err)
		return tok, false
	}
	return tok, true
}

// name reads the name of a struct's member, and returns the field, or nil if there is none.
func (d *decoder) name(t *Type) (f *field, name string, ok bool) {
	raw, err := d.d.ReadValue()
	if err != nil {
		d.syntax(err)
		return nil, "", false
	}
	if f := t.names[string(raw[1:len(raw)-1])]; f != nil { // no field's name has an escape
		return f, f.name, true
	}
	unquoted, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		d.syntax(err)
		return nil, "", false
	}
	name = string(unquoted)
	return t.names[name], name, true
}
