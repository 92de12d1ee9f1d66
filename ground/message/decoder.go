package message

import (
	"reflect"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/jsons"
)

// decoder reads a value and goes on after problems, until the text itself is broken.
type decoder struct {
	d        jsons.Reader
	path     []step
	problems Problems
	broken   bool // nothing more can be read
	lenient  bool // see Restore
}

// decoders are used again: see package jsons.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// read reads a text that is one value.
func (t *Type) read(data []byte, v reflect.Value, lenient bool) error {
	d := decoders.Get().(*decoder)
	d.d.Reset(data)
	d.path, d.lenient = d.path[:0], lenient
	d.value(t, v)
	if !d.broken && !d.d.End() {
		d.problem("something follows the value")
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
	d.d.Forget()
	d.problems, d.broken = nil, false
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
