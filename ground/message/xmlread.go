package message

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/elements"
)

// DecodeXML reads an XML document into v as Decode reads JSON; see AppendXML for how it is written. Document types are
// refused, and with them entities; so is whatever is no part of the message. The error is Problems.
func (t *Type) DecodeXML(data []byte, v reflect.Value) error {
	r := xmlReader{d: elements.NewDecoder(bytes.NewReader(data))}
	if err := r.document(t); err != nil {
		var known Problems
		if errors.As(err, &known) {
			return known
		}
		return failed("not XML: %v", err)
	}
	return t.Decode(r.b, v)
}

// xmlReader writes what it reads as JSON, which Decode then checks: one reader only knows the rules.
type xmlReader struct {
	d *xml.Decoder
	b []byte
}

// next returns the start or end of an element; between them is white space, or an error.
func (r *xmlReader) next() (xml.Token, error) {
	tok, err := elements.Next(r.d)
	return tok, refused(err)
}

// text reads the text of an element whose start was read, to its end.
func (r *xmlReader) text() (string, error) {
	text, err := elements.Text(r.d)
	return text, refused(err)
}

// refused makes a problem of what is XML and no message.
func refused(err error) error {
	if why, ok := errors.AsType[elements.Refused](err); ok {
		return failed("%s", string(why))
	}
	return err
}

func (r *xmlReader) document(t *Type) error {
	tok, err := r.next()
	if errors.Is(err, io.EOF) {
		return failed("the XML ends too early")
	}
	if err != nil {
		return err
	}
	start, ok := tok.(xml.StartElement)
	if !ok || start.Name.Local != t.root() {
		return failed("its element must be <%s>, not <%.40s>", t.root(), start.Name.Local)
	}
	if err := r.value(t, start, 0); err != nil {
		return err
	}
	switch _, err := r.next(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return failed("something follows the value")
}

func attribute(start xml.StartElement, name string) (string, bool) {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// value reads an element whose start was read, to its end.
func (r *xmlReader) value(t *Type, start xml.StartElement, depth int) error {
	if depth > maxDepth {
		return failed("it is nested more than 100 levels deep")
	}
	if text, ok := attribute(start, "nil"); ok && (text == "true" || text == "1") {
		r.b = append(r.b, "null"...)
		return r.end()
	}
	t = t.base()
	switch t.kind {
	case kindStruct:
		return r.object(depth, t.member)
	case kindObject:
		return r.object(depth, t.entry)
	case kindPairs:
		return r.array(depth, "entry", func(start xml.StartElement) error { return r.pair(t, depth+1) })
	case kindList, kindArray, kindSet:
		return r.array(depth, "item", func(start xml.StartElement) error { return r.value(t.elem, start, depth+1) })
	case kindAny:
		return r.anything(t, start, depth)
	}
	text, err := r.text()
	if err == nil {
		r.b, err = t.appendRead(r.b, text)
	}
	return err
}

// end passes over the end of an element that has to be empty.
func (r *xmlReader) end() error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	if start, ok := tok.(xml.StartElement); ok {
		return failed("<%.40s> is out of place", start.Name.Local)
	}
	return nil
}

// member says which field an element is. It is nil for one that is not known.
func (t *Type) member(start xml.StartElement) (name string, inner *Type, ok bool) {
	name = start.Name.Local
	if given, ok := attribute(start, "name"); ok && name == "field" {
		name = given
	}
	return name, t.Field(name), true
}

// entry is an element of a map.
func (t *Type) entry(start xml.StartElement) (name string, inner *Type, ok bool) {
	name, ok = attribute(start, "name")
	return name, t.elem, ok && start.Name.Local == "entry"
}

// object reads elements that have names.
func (r *xmlReader) object(depth int, which func(xml.StartElement) (string, *Type, bool)) error {
	r.b = append(r.b, '{')
	for n := 0; ; n++ {
		tok, err := r.next()
		if err != nil {
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			r.b = append(r.b, '}')
			return nil
		}
		name, inner, ok := which(start)
		if !ok {
			return failed(`want <entry name="...">, not <%.40s>`, start.Name.Local)
		}
		if n > 0 {
			r.b = append(r.b, ',')
		}
		if r.b, err = appendText(r.b, name); err != nil {
			return err
		}
		r.b = append(r.b, ':')
		if inner == nil { // Decode says so
			r.b = append(r.b, "null"...)
			err = r.d.Skip()
		} else {
			err = r.value(inner, start, depth+1)
		}
		if err != nil {
			return at(err, shown(name))
		}
	}
}

// array reads elements of one name.
func (r *xmlReader) array(depth int, name string, each func(xml.StartElement) error) error {
	r.b = append(r.b, '[')
	for n := 0; ; n++ {
		tok, err := r.next()
		if err != nil {
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			r.b = append(r.b, ']')
			return nil
		}
		if start.Name.Local != name {
			return failed("want <%s>, not <%.40s>", name, start.Name.Local)
		}
		if n > 0 {
			r.b = append(r.b, ',')
		}
		if err := each(start); err != nil {
			return at(err, fmt.Sprintf("[%d]", n))
		}
	}
}

// pair reads a key and a value.
func (r *xmlReader) pair(t *Type, depth int) error {
	r.b = append(r.b, '[')
	for i, part := range []struct {
		name string
		t    *Type
	}{{"key", t.key}, {"value", t.elem}} {
		tok, err := r.next()
		if err != nil {
			return err
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != part.name {
			return failed("an entry must have a <key> and a <value>")
		}
		if i > 0 {
			r.b = append(r.b, ',')
		}
		if err := r.value(part.t, start, depth+1); err != nil {
			return err
		}
	}
	r.b = append(r.b, ']')
	return r.end()
}

// anything reads a value that says its type itself.
func (r *xmlReader) anything(t *Type, start xml.StartElement, depth int) error {
	kind, _ := attribute(start, "type")
	switch kind {
	case "object":
		return r.object(depth, func(start xml.StartElement) (string, *Type, bool) {
			name, ok := attribute(start, "name")
			return name, t, ok && start.Name.Local == "entry"
		})
	case "array":
		return r.array(depth, "item", func(start xml.StartElement) error { return r.value(t, start, depth+1) })
	}
	text, err := r.text()
	if err != nil {
		return err
	}
	switch kind {
	case "", "text":
		r.b, err = appendText(r.b, text)
		return err
	case "null", "boolean", "number":
		if v := jsontext.Value(strings.TrimSpace(text)); v.IsValid() && strings.Contains("tf0", string(v.Kind())) == (kind != "null") {
			r.b = append(r.b, v...)
			return nil
		}
		if kind == "null" && strings.TrimSpace(text) == "" {
			r.b = append(r.b, "null"...)
			return nil
		}
		return failed("is no %s", kind)
	}
	return failed("there is no type %.40q", kind)
}
