package message

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendXML appends v, a value of the type, to b as an XML document. Its root is named as the type, or else value:
//
//	struct          an element for each field, by its name; <field name="…"> when XML cannot have that
//	list, set       <item> for each element
//	map             <entry name="key"> for each, or <entry><key/><value/></entry> when keys are no texts
//	null            an attribute nil="true"
//	any             an attribute type="null|boolean|number|text|array|object"
//	all else        its text, as in JSON
//
// The error is Problems: beside what JSON cannot have, most control characters.
func (t *Type) AppendXML(b []byte, v reflect.Value) ([]byte, error) {
	tree, err := t.Tree(v)
	if err != nil {
		return b, err
	}
	w := xmlWriter{append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)}
	if err := w.element(t.root(), "", t, tree, 0); err != nil {
		return b, err
	}
	return append(w.b, '\n'), nil
}

// root is the name of a document's element.
func (t *Type) root() string {
	if name := t.base().Name(); isXMLName(name) && t.base().kind == kindStruct {
		return name
	}
	return "value"
}

// isXMLName says whether an element can have that name. XML's own rule has more characters.
func isXMLName(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return name != ""
}

type xmlWriter struct{ b []byte }

func (w *xmlWriter) add(s string) { w.b = append(w.b, s...) }

// element writes one value; t is nil in a value of any type. attribute is written as it is.
func (w *xmlWriter) element(name, attribute string, t *Type, tree any, depth int) error {
	if depth > maxDepth {
		return failed("it is nested more than 100 levels deep")
	}
	if t != nil {
		if t = t.base(); t.kind == kindAny {
			t = nil
		}
	}
	switch {
	case t == nil:
		attribute += ` type="` + typeOf(tree) + `"`
	case tree == nil:
		attribute += ` nil="true"`
	}
	w.add("<" + name + attribute)
	if tree == nil {
		w.add("/>")
		return nil
	}
	w.add(">")
	if err := w.content(t, tree, depth); err != nil {
		return err
	}
	w.add("</" + name + ">")
	return nil
}

// typeOf names what a part of a tree is.
func typeOf(tree any) string {
	switch tree.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int64, uint64, float64, *big.Int:
		return "number"
	case []any:
		return "array"
	case Object:
		return "object"
	}
	return "text"
}

func (w *xmlWriter) content(t *Type, tree any, depth int) error {
	switch x := tree.(type) {
	case string:
		return w.text(x)
	case []byte:
		w.b = base64.StdEncoding.AppendEncode(w.b, x)
	case time.Time:
		if y := x.Year(); y < 0 || y > 9999 {
			return failed("its year %d cannot be written", y)
		}
		w.b = x.AppendFormat(w.b, time.RFC3339Nano)
	case []any:
		return w.elements(t, x, depth)
	case Object:
		return w.members(t, x, depth)
	default:
		var err error
		w.b, err = appendTree(w.b, tree, depth)
		return err
	}
	return nil
}

func (w *xmlWriter) elements(t *Type, all []any, depth int) error {
	for i, one := range all {
		var err error
		switch {
		case t == nil:
			err = w.element("item", "", nil, one, depth+1)
		case t.kind == kindPairs:
			pair := one.([]any)
			w.add("<entry>")
			if err = w.element("key", "", t.key, pair[0], depth+1); err == nil {
				err = w.element("value", "", t.elem, pair[1], depth+1)
			}
			w.add("</entry>")
		default:
			err = w.element("item", "", t.elem, one, depth+1)
		}
		if err != nil {
			return at(err, "["+strconv.Itoa(i)+"]")
		}
	}
	return nil
}

func (w *xmlWriter) members(t *Type, all Object, depth int) error {
	for _, m := range all {
		var inner *Type
		name := "entry"
		switch {
		case t != nil && t.kind == kindStruct:
			inner = t.Field(m.Name)
			if name = m.Name; !isXMLName(name) {
				name = "field"
			}
		case t != nil:
			inner = t.elem
		}
		attribute := ""
		if name == "entry" || name == "field" {
			quoted := xmlWriter{}
			if err := quoted.text(m.Name); err != nil {
				return err
			}
			attribute = ` name="` + string(quoted.b) + `"`
		}
		if err := w.element(name, attribute, inner, m.Value, depth+1); err != nil {
			return at(err, shown(m.Name))
		}
	}
	return nil
}

// text escapes a text so that it may stand in an element or an attribute, and comes back as it was.
func (w *xmlWriter) text(s string) error {
	if !utf8.ValidString(s) {
		return failed("a text is not UTF-8")
	}
	for _, r := range s {
		switch {
		case r == '&':
			w.add("&amp;")
		case r == '<':
			w.add("&lt;")
		case r == '>':
			w.add("&gt;")
		case r == '"':
			w.add("&#34;")
		case r == '\t' || r == '\n' || r == '\r': // a reader may change what stands there as it is
			w.add(fmt.Sprintf("&#%d;", r))
		case r < ' ' || r == 0xFFFE || r == 0xFFFF:
			return failed("a text has the character %U, which XML has not", r)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	return nil
}
