package message

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const maxDepth = 100

// Decode reads one JSON value into v, a zero value of the type that can be set. Defaults are set first. The error is
// Problems.
func (t *Type) Decode(data []byte, v reflect.Value) error {
	t.Preset(v)
	return t.Update(data, v)
}

// Update is Decode for a value that is not zero: fields that the JSON does not name stay as they are.
func (t *Type) Update(data []byte, v reflect.Value) error {
	return t.read(data, v, false)
}

// Restore reads into v, a zero value of the type, what was written by another version of it: fields that the type does not have are
// passed over, and rules are not checked. Defaults are set first. The error is Problems.
func (t *Type) Restore(data []byte, v reflect.Value) error {
	t.Preset(v)
	return t.read(data, v, true)
}

func (d *decoder) problem(text string) { d.add(text, false) }

// breaks notes that a value breaks a rule.
func (d *decoder) breaks(rule string) { d.add(rule, true) }

func (d *decoder) add(text string, rule bool) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{pathOf(d.path), text, rule})
	}
}

// syntax notes why the text cannot be read any further.
func (d *decoder) syntax(err error) {
	if d.broken {
		return
	}
	d.broken = true
	var bad *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &bad):
		d.problem(fmt.Sprintf("the name %.60q is there twice", shown(bad.JSONPointer.LastToken())))
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		d.problem("the JSON ends too early")
	case errors.As(err, &bad):
		d.problem("not JSON at byte " + strconv.FormatInt(bad.ByteOffset, 10) + ": " + bad.Err.Error())
	default:
		d.problem("not JSON: " + err.Error())
	}
}

// skip passes over the next value, which is not what it should be.
func (d *decoder) skip(want string) {
	got := kindName(d.d.PeekKind())
	if err := d.d.SkipValue(); err != nil {
		d.syntax(err)
		return
	}
	d.problem("must be " + want + ", not " + got)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "what it is"
}

// value reads the next value into v.
func (d *decoder) value(t *Type, v reflect.Value) {
	if d.broken {
		return
	}
	if len(d.path) > maxDepth {
		d.broken = true
		d.problem("it is nested more than 100 levels deep")
		return
	}
	switch t.kind {
	case kindOptional:
		d.optional(t, v)
	case kindStruct:
		d.structure(t, v)
	case kindList, kindArray, kindSet, kindPairs:
		d.array(t, v)
	case kindObject:
		d.object(t, v)
	case kindAny:
		if found := d.anything(); found != nil {
			v.Set(reflect.ValueOf(found))
		}
	default:
		d.word(t, v)
	}
}

func (d *decoder) optional(t *Type, v reflect.Value) {
	if d.d.PeekKind() == 'n' {
		d.token()
		v.SetZero()
		return
	}
	if v.IsNil() {
		v.Set(reflect.New(t.elem.goType))
		t.elem.Preset(v.Elem())
	}
	d.value(t.elem, v.Elem())
}

func (d *decoder) open(kind jsontext.Kind, want string) bool {
	switch d.d.PeekKind() {
	case kind:
		_, ok := d.token()
		return ok
	case 0:
		d.token() // says why
		return false
	}
	d.skip(want)
	return false
}

// more reports whether the array or object goes on, and passes over its end.
func (d *decoder) more(end jsontext.Kind) bool {
	if d.broken {
		return false
	}
	if d.d.PeekKind() == end {
		d.token()
		return false
	}
	return true
}

func (d *decoder) structure(t *Type, v reflect.Value) {
	if !d.open('{', "an object") {
		return
	}
	seen := seenFields{}
	for d.more('}') {
		f, name, ok := d.name(t)
		if !ok {
			return
		}
		d.path = append(d.path, step{name: name})
		if f != nil {
			seen.add(f.number)
			d.field(f, v.FieldByIndex(f.index))
		} else if err := d.d.SkipValue(); err != nil {
			d.syntax(err)
		} else if !d.lenient {
			d.problem(t.unknown())
		}
		d.path = d.path[:len(d.path)-1]
	}
	if !d.broken && !d.lenient {
		d.missing(t, &seen)
	}
}

func (d *decoder) field(f *field, v reflect.Value) {
	n := len(d.problems)
	d.value(f.typ, v)
	if f.rules == nil || len(d.problems) > n || d.broken || d.lenient {
		return
	}
	if wrong := f.rules.check(f.typ, v); wrong != "" {
		d.breaks(wrong)
	}
}

func (d *decoder) missing(t *Type, seen *seenFields) {
	for _, f := range t.fields {
		if f.required && !seen.has(f.number) {
			d.path = append(d.path, step{name: f.name})
			d.breaks("it is required")
			d.path = d.path[:len(d.path)-1]
		}
	}
}

// unknown is what to say of a field that is not there.
func (t *Type) unknown() string {
	if len(t.fields) == 0 {
		return "there is no such field; the message has none"
	}
	all := make([]string, len(t.fields))
	for i, f := range t.fields {
		all[i] = f.name
	}
	return "there is no such field; there is " + strings.Join(all, ", ")
}

// seenFields is a set of field numbers.
type seenFields struct {
	few  uint64
	many map[int]bool
}

func (s *seenFields) add(n int) {
	if n < 64 {
		s.few |= 1 << n
		return
	}
	if s.many == nil {
		s.many = map[int]bool{}
	}
	s.many[n] = true
}

func (s *seenFields) has(n int) bool {
	if n < 64 {
		return s.few&(1<<n) != 0
	}
	return s.many[n]
}

// array reads what is written as an array.
func (d *decoder) array(t *Type, v reflect.Value) {
	if t.kind == kindPairs && d.d.PeekKind() == '{' {
		d.object(t, v) // keys as texts, as other languages write them
		return
	}
	if !d.open('[', "an array") {
		return
	}
	switch t.kind {
	case kindList:
		v.Set(reflect.MakeSlice(t.goType, 0, 0))
	case kindSet, kindPairs:
		v.Set(reflect.MakeMap(t.goType))
	}
	n := 0
	for ; d.more(']'); n++ {
		d.path = append(d.path, step{index: n})
		d.element(t, v, n)
		d.path = d.path[:len(d.path)-1]
	}
	if t.kind == kindArray && n < v.Len() && !d.broken {
		d.problem("must have " + strconv.Itoa(v.Len()) + " elements, not " + strconv.Itoa(n))
	}
}

func (d *decoder) element(t *Type, v reflect.Value, n int) {
	switch t.kind {
	case kindArray:
		if n >= v.Len() {
			d.skip("the end")
			return
		}
		t.elem.Preset(v.Index(n))
		d.value(t.elem, v.Index(n))
	case kindList:
		v.Grow(1)
		v.SetLen(n + 1)
		v.Index(n).SetZero()
		t.elem.Preset(v.Index(n))
		d.value(t.elem, v.Index(n))
	case kindSet:
		one := reflect.New(t.elem.goType).Elem()
		before := len(d.problems)
		d.value(t.elem, one)
		d.put(v, one, reflect.Zero(typeNone), before)
	case kindPairs:
		d.pair(t, v)
	}
}

// put adds to a map, unless something was wrong with it.
func (d *decoder) put(m, key, value reflect.Value, before int) {
	switch {
	case d.broken || len(d.problems) > before:
	case !key.Comparable():
		d.problem("it cannot be a key")
	case m.MapIndex(key).IsValid():
		d.problem("it is there twice")
	default:
		m.SetMapIndex(key, value)
	}
}

// pair reads [key, value].
func (d *decoder) pair(t *Type, v reflect.Value) {
	if !d.open('[', "a pair [key, value]") {
		return
	}
	key, value := reflect.New(t.key.goType).Elem(), reflect.New(t.elem.goType).Elem()
	before, n := len(d.problems), 0
	for ; d.more(']'); n++ {
		switch n {
		case 0:
			d.value(t.key, key)
		case 1:
			t.elem.Preset(value)
			d.value(t.elem, value)
		default:
			d.skip("the end of a pair")
		}
	}
	if n < 2 && !d.broken {
		d.problem("must be a pair [key, value]")
	}
	d.put(v, key, value, before)
}

// object reads a map whose keys are texts.
func (d *decoder) object(t *Type, v reflect.Value) {
	if t.kind == kindObject && d.d.PeekKind() == '[' {
		pairs := *t
		pairs.kind = kindPairs
		d.array(&pairs, v)
		return
	}
	if !d.open('{', "an object") {
		return
	}
	v.Set(reflect.MakeMap(t.goType))
	for d.more('}') {
		tok, ok := d.token()
		if !ok {
			return
		}
		name := tok.String()
		key, value := reflect.New(t.key.goType).Elem(), reflect.New(t.elem.goType).Elem()
		d.path = append(d.path, step{name: name})
		before := len(d.problems)
		if wrong := t.key.setText(name, key); wrong != "" {
			d.problem("its name " + wrong)
		}
		t.elem.Preset(value)
		d.value(t.elem, value)
		d.put(v, key, value, before)
		d.path = d.path[:len(d.path)-1]
	}
}
