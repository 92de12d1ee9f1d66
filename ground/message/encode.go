package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Append appends v, a value of the type, to b as JSON. The error, of type Problems, says what of it cannot be written:
// a number that is none, a text that is not UTF-8.
func (t *Type) Append(b []byte, v reflect.Value) ([]byte, error) {
	out, err := t.append(b, v, 0)
	if err != nil {
		return b, err
	}
	return out, nil
}

// at puts a step before the path of an error.
func at(err error, s string) error {
	const maxPath = 300
	var p Problems
	if !errors.As(err, &p) {
		return err
	}
	path := p[0].Path
	if path != "" && path[0] != '[' {
		path = "." + path
	}
	if len(path) > maxPath { // what is nested so deep is found without all of it
		path = strings.ToValidUTF8(path[:maxPath], "") + "..."
	}
	return Problems{{Path: s + path, Text: p[0].Text, Rule: p[0].Rule}}
}

func failed(format string, args ...any) error { return Problems{{Text: fmt.Sprintf(format, args...)}} }

func (t *Type) append(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, failed("it is nested more than 100 levels deep")
	}
	switch t.kind {
	case kindBool:
		return strconv.AppendBool(b, v.Bool()), nil
	case kindInt:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case kindUint:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case kindFloat:
		return appendFloat(b, v.Float(), t.goType.Bits())
	case kindString:
		return appendText(b, v.String())
	case kindStruct:
		return t.appendStruct(b, v, depth)
	case kindOptional:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return t.elem.append(b, v.Elem(), depth+1)
	case kindList, kindArray:
		return t.appendList(b, v, depth)
	case kindSet, kindObject, kindPairs:
		return t.appendMap(b, v, depth)
	case kindAny:
		return appendAny(b, v, depth)
	}
	return t.appendWord(b, v)
}

func (t *Type) appendWord(b []byte, v reflect.Value) ([]byte, error) {
	switch t.kind {
	case kindBytes:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"'), nil
	case kindTime:
		at := v.Interface().(time.Time)
		if y := at.Year(); y < 0 || y > 9999 {
			return nil, failed("its year %d cannot be written", y)
		}
		return appendText(b, at.Format(time.RFC3339Nano))
	case kindDuration:
		return appendText(b, time.Duration(v.Int()).String())
	case kindBig:
		n := v.Interface().(big.Int)
		return n.Append(b, 10), nil
	}
	text, err := textOf(v)
	if err != nil {
		return nil, failed("%v", err)
	}
	return appendText(b, string(text))
}

// appendFloat writes a number as JavaScript does: 1e21, not 1e+21.
func appendFloat(b []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, failed("%v is no number that JSON has", f)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, bits), nil
}

func appendText(b []byte, s string) ([]byte, error) {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		return nil, failed("a text is not UTF-8")
	}
	return out, nil
}

func (t *Type) appendStruct(b []byte, v reflect.Value, depth int) ([]byte, error) {
	b = append(b, '{')
	first := true
	for _, f := range t.fields {
		part := v.FieldByIndex(f.index)
		if f.typ.kind == kindOptional && part.IsNil() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, f.name...) // a name from a tag is checked by Of
		b = append(b, '"', ':')
		var err error
		if b, err = f.typ.append(b, part, depth+1); err != nil {
			return nil, at(err, f.name)
		}
	}
	return append(b, '}'), nil
}

func (t *Type) appendList(b []byte, v reflect.Value, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = t.elem.append(b, v.Index(i), depth+1); err != nil {
			return nil, at(err, "["+strconv.Itoa(i)+"]")
		}
	}
	return append(b, ']'), nil
}

// appendMap writes sets and maps in the order of their keys as they are written.
func (t *Type) appendMap(b []byte, v reflect.Value, depth int) ([]byte, error) {
	type entry struct {
		key   []byte
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, err := t.key.append(nil, it.Key(), depth+1)
		if err != nil {
			return nil, at(err, "a key")
		}
		entries = append(entries, entry{key, it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	open, end := byte('['), byte(']')
	if t.kind == kindObject {
		open, end = '{', '}'
	}
	b = append(b, open)
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		if t.kind == kindPairs {
			b = append(b, '[')
		}
		b = append(b, e.key...)
		if t.kind == kindSet {
			continue
		}
		sep := byte(':')
		if t.kind == kindPairs {
			sep = ','
		}
		b = append(b, sep)
		var err error
		if b, err = t.elem.append(b, e.value, depth+1); err != nil {
			return nil, at(err, "["+string(e.key)+"]")
		}
		if t.kind == kindPairs {
			b = append(b, ']')
		}
	}
	return append(b, end), nil
}

// appendAny writes what an interface holds.
func appendAny(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	v = v.Elem()
	t, err := Of(v.Type())
	if err != nil {
		return nil, failed("%v", err)
	}
	return t.append(b, v, depth+1)
}
