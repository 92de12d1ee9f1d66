package message

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendPlain appends v, a value of the type, to b as a text for people and for shells. Of a struct each field is a line,
// "name: value", without those that are null; a struct of a single field of one word is that word. Numbers, times and texts are written as
// they are, texts that would not be read again from their line as JSON, and all else as JSON. A text alone is as it
// is; everything else ends in a line's end. The error is Problems.
func (t *Type) AppendPlain(b []byte, v reflect.Value) ([]byte, error) {
	if one := t.only(); one != nil {
		t, v = one.typ, v.FieldByIndex(one.index)
	}
	switch t.kind {
	case kindString:
		if !utf8.ValidString(v.String()) {
			return b, failed("a text is not UTF-8")
		}
		return append(b, v.String()...), nil
	case kindStruct:
		return t.appendLines(b, v)
	}
	out, err := t.appendPlainWord(b, v)
	if err != nil {
		return b, err
	}
	return append(out, '\n'), nil
}

// only is the field of a struct that has one field, of one word.
func (t *Type) only() *field {
	if t.kind == kindStruct && len(t.fields) == 1 && t.fields[0].typ.kind < kindStruct {
		return t.fields[0]
	}
	return nil
}

func (t *Type) appendLines(b []byte, v reflect.Value) ([]byte, error) {
	start := len(b)
	for _, f := range t.fields {
		part := v.FieldByIndex(f.index)
		if f.typ.kind == kindOptional && part.IsNil() {
			continue
		}
		b = append(append(b, f.name...), ": "...)
		var err error
		if b, err = f.typ.appendPlainWord(b, part); err != nil {
			return b[:start], at(err, f.name)
		}
		b = append(b, '\n')
	}
	return b, nil
}

// appendPlainWord writes what stands on one line.
func (t *Type) appendPlainWord(b []byte, v reflect.Value) ([]byte, error) {
	start := len(b)
	b, err := t.Append(b, v)
	if err != nil || b[start] != '"' {
		return b, err
	}
	if text, err := jsontext.AppendUnquote(nil, b[start:]); err == nil && staysOnLine(string(text)) && t.base().kind != kindAny {
		return append(b[:start], text...), nil
	}
	return b, nil
}

// staysOnLine says whether a text can be read again from a line.
func staysOnLine(s string) bool {
	return s == strings.TrimSpace(s) && !strings.HasPrefix(s, `"`) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 })
}

// DecodePlain reads a text into v as Decode reads JSON; see AppendPlain for how it is written. The error is Problems.
func (t *Type) DecodePlain(text string, v reflect.Value) error {
	if !utf8.ValidString(text) {
		return failed("is not UTF-8")
	}
	b, err := t.plain(nil, text)
	if err != nil {
		return err
	}
	return t.Decode(b, v)
}

// plain writes as JSON what the text says.
func (t *Type) plain(b []byte, text string) ([]byte, error) {
	if one := t.only(); one != nil {
		b = append(append(append(b, `{"`...), one.name...), `":`...)
		b, err := one.typ.appendRead(b, text)
		return append(b, '}'), err
	}
	if t.kind != kindStruct {
		return t.appendRead(b, text)
	}
	b = append(b, '{')
	first := true
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, failed("the line %.40q is not of the form \"name: value\"", strings.TrimSpace(line))
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		name = strings.TrimSpace(name)
		var err error
		if b, err = appendText(b, name); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = t.plainField(b, name, strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (t *Type) plainField(b []byte, name, value string) ([]byte, error) {
	inner := t.Field(name)
	if inner == nil { // Decode says so
		return append(b, "null"...), nil
	}
	if inner.base().kind < kindStruct && strings.HasPrefix(value, `"`) && jsontext.Value(value).IsValid() {
		return append(b, value...), nil
	}
	return inner.appendRead(b, value)
}

// appendRead writes as JSON what a format without types says of a value of this type. What cannot be one
// becomes a text, of which Decode says what is wrong with it.
func (t *Type) appendRead(b []byte, text string) ([]byte, error) {
	switch t.base().kind {
	case kindString:
		return appendText(b, text)
	case kindBytes:
		return appendText(b, strings.Join(strings.Fields(text), ""))
	case kindTime, kindDuration, kindText:
		return appendText(b, strings.TrimSpace(text))
	}
	if trimmed := strings.TrimSpace(text); jsontext.Value(trimmed).IsValid() {
		return append(b, trimmed...), nil
	}
	return appendText(b, text)
}
