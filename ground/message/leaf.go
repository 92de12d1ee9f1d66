package message

import (
	"reflect"
	"strings"
)

// Leaf is a field that is set by one word, in the message or in a struct inside it.
type Leaf struct {
	// Path names it: "port", "tls.cert".
	Path string
	// Doc is the field's.
	Doc string
	// Kind is what its values are, for people: BOOL, NUMBER, TEXT, DURATION, TIME, JSON.
	Kind string
	// Choices are the values that its enum tag allows; none: any.
	Choices []string

	steps []*field
}

// Leaves returns the fields of a message and of the structs inside it, in their order.
func (t *Type) Leaves() []Leaf { return t.leaves(nil, nil) }

func (t *Type) leaves(all []Leaf, before []*field) []Leaf {
	for _, f := range t.fields {
		steps := append(append([]*field(nil), before...), f)
		if f.typ.kind == kindStruct {
			all = f.typ.leaves(all, steps)
			continue
		}
		names := make([]string, len(steps))
		for i, s := range steps {
			names[i] = s.name
		}
		leaf := Leaf{Path: strings.Join(names, "."), Doc: f.doc, Kind: f.typ.base().word(), steps: steps}
		if f.rules != nil {
			leaf.Choices = f.rules.enum
		}
		all = append(all, leaf)
	}
	return all
}

// word is a type's name for people.
func (t *Type) word() string {
	switch t.kind {
	case kindBool:
		return "BOOL"
	case kindInt, kindUint, kindFloat, kindBig:
		return "NUMBER"
	case kindDuration:
		return "DURATION"
	case kindTime:
		return "TIME"
	case kindString, kindText, kindBytes:
		return "TEXT"
	}
	return "JSON"
}

func (l Leaf) in(message reflect.Value) (f *field, v reflect.Value) {
	v = message
	for _, f = range l.steps {
		v = v.FieldByIndex(f.index)
	}
	return f, v
}

// Set sets the field in a message from text, see DecodeText, and checks its rules. The error is Problems.
func (l Leaf) Set(message reflect.Value, text string) error {
	f, v := l.in(message)
	one := reflect.New(v.Type()).Elem()
	if err := f.typ.DecodeText(text, one); err != nil {
		return err
	}
	if wrong := f.rules.check(f.typ, one); wrong != "" {
		return Problems{{Text: wrong, Rule: true}}
	}
	v.Set(one)
	return nil
}

// Get returns the field's value in a message as JSON.
func (l Leaf) Get(message reflect.Value) (string, error) {
	f, v := l.in(message)
	b, err := f.typ.Append(nil, v)
	return string(b), err
}
