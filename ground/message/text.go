package message

import (
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// DecodeText reads one value from text as people write it: numbers, times and texts as they are, everything
// else as JSON. The error is Problems.
func (t *Type) DecodeText(s string, v reflect.Value) error {
	if !utf8.ValidString(s) {
		return Problems{{Text: "is not UTF-8"}}
	}
	switch base := t.base(); base.kind {
	case kindStruct, kindList, kindArray, kindSet, kindObject, kindPairs:
		return t.Decode([]byte(s), v)
	case kindAny:
		if err := t.Decode([]byte(s), v); err != nil {
			v.Set(reflect.ValueOf(s))
		}
		return nil
	default:
		if t.kind == kindOptional {
			v.Set(reflect.New(t.elem.goType))
			return t.elem.DecodeText(s, v.Elem())
		}
	}
	if wrong := t.setText(s, v); wrong != "" {
		return Problems{{Text: wrong, Rule: wrong == notFinite}}
	}
	return nil
}

// DecodeQuery reads a message, a struct, from the words of a query or a form: x=1.5&y=2.25. Of a name
// that is there more than once a list or set takes every value, and all else the last one. The error is Problems.
func (t *Type) DecodeQuery(query string, v reflect.Value) error {
	if t.kind != kindStruct {
		return Problems{{Text: "the message has no fields to be named"}}
	}
	t.Preset(v)
	d := decoder{}
	seen := seenFields{}
	for query != "" && len(d.problems) < maxProblems {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair != "" {
			d.word1(t, pair, v, &seen)
		}
	}
	for _, f := range t.fields {
		if f.rules != nil && seen.has(f.number) {
			d.checked(f, v)
		}
	}
	d.missing(t, &seen)
	if d.problems != nil {
		return d.problems
	}
	return nil
}

// word1 takes one name=value.
func (d *decoder) word1(t *Type, pair string, v reflect.Value, seen *seenFields) {
	name, text, _ := strings.Cut(pair, "=")
	name, err1 := url.QueryUnescape(name)
	text, err2 := url.QueryUnescape(text)
	d.path = append(d.path[:0], step{name: shown(name)})
	defer func() { d.path = d.path[:0] }()
	if err1 != nil || err2 != nil {
		d.problem("it is not escaped as a query is")
		return
	}
	f := t.names[name]
	if f == nil {
		d.problem(t.unknown())
		return
	}
	again := seen.has(f.number)
	seen.add(f.number)
	target := v.FieldByIndex(f.index)
	switch k := f.typ.kind; {
	case (k == kindList || k == kindSet) && !strings.HasPrefix(text, "["):
		d.append(f.typ, text, target, again)
	default:
		target.SetZero()
		d.take(f.typ.DecodeText(text, target))
	}
}

// shown is a name that may be anything.
func shown(name string) string {
	if name == "" {
		return `""`
	}
	return strings.ToValidUTF8(name, "?")
}

// append adds one word to a list or a set.
func (d *decoder) append(t *Type, text string, v reflect.Value, again bool) {
	if !again {
		v.SetZero() // of its default
	}
	one := reflect.New(t.elem.goType).Elem()
	if err := t.elem.DecodeText(text, one); err != nil {
		d.take(err)
		return
	}
	if t.kind == kindList {
		v.Set(reflect.Append(v, one))
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(t.goType))
	}
	d.put(v, one, reflect.Zero(typeNone), len(d.problems))
}

// take adds the problems of a part.
func (d *decoder) take(err error) {
	problems, _ := err.(Problems)
	for _, p := range problems {
		n := len(d.problems)
		d.add(p.Text, p.Rule)
		if len(d.problems) > n && p.Path != "" {
			sep := "."
			if strings.HasPrefix(p.Path, "[") {
				sep = ""
			}
			d.problems[n].Path += sep + p.Path
		}
	}
}

// checked applies a field's rules, unless something is wrong with it already.
func (d *decoder) checked(f *field, v reflect.Value) {
	for _, p := range d.problems {
		if p.Path == f.name || strings.HasPrefix(p.Path, f.name+".") || strings.HasPrefix(p.Path, f.name+"[") {
			return
		}
	}
	if wrong := f.rules.check(f.typ, v.FieldByIndex(f.index)); wrong != "" {
		d.path = append(d.path[:0], step{name: f.name})
		d.breaks(wrong)
		d.path = d.path[:0]
	}
}
