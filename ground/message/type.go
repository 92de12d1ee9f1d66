package message

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
)

// kind is how a type is written.
type kind int

const (
	kindBool kind = iota
	kindInt
	kindUint
	kindFloat
	kindString
	kindBytes
	kindTime
	kindDuration
	kindBig
	kindText
	kindStruct
	kindList
	kindArray
	kindSet
	kindObject
	kindPairs
	kindOptional
	kindAny
)

// Type is how the values of a Go type are written. It is made by Of and safe for use by several
// goroutines.
type Type struct {
	goType reflect.Type
	kind   kind
	elem   *Type // of lists, sets, maps, optionals
	key    *Type // of maps
	fields []*field
	names  map[string]*field
	preset bool // it, or a part of it that is no pointer, list or map, has defaults
}

// field is one field of a struct.
type field struct {
	name     string
	index    []int
	typ      *Type
	doc      string
	example  string
	required bool
	preset   reflect.Value // the default; invalid if there is none
	rules    *rules        // nil: none
	number   int           // its place among the fields
}

// Go returns the type that it was made of.
func (t *Type) Go() reflect.Type { return t.goType }

// Name is the type's name as clients see it: that of the Go type, without its package. Page[main.Note] is PageNote, *Note is Note, and lists and
// maps, which have none of their own, are []Note and map[string]Note. Empty for a struct without a name.
func (t *Type) Name() string {
	name := t.goType.Name()
	if name == "" {
		return t.composed()
	}
	if !strings.Contains(name, "[") {
		return name
	}
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("[],* ", r) }) {
		part, _, _ = strings.Cut(part[strings.LastIndexAny(part, "./")+1:], "·") // of a type inside a function
		b.WriteString(part)
	}
	return b.String()
}

// composed is the name of a type that has none in Go.
func (t *Type) composed() string {
	switch t.kind {
	case kindOptional:
		return t.elem.Name()
	case kindList, kindArray, kindSet:
		return "[]" + t.elem.Name()
	case kindObject, kindPairs:
		return "map[" + t.key.Name() + "]" + t.elem.Name()
	case kindBytes:
		return "[]byte"
	case kindAny:
		return "any"
	}
	return ""
}

var (
	known      sync.Map // reflect.Type → *Type
	typeTime   = reflect.TypeFor[time.Time]()
	typeSpan   = reflect.TypeFor[time.Duration]()
	typeBig    = reflect.TypeFor[big.Int]()
	typeText   = reflect.TypeFor[encoding.TextMarshaler]()
	typeUntext = reflect.TypeFor[encoding.TextUnmarshaler]()
	typeNone   = reflect.TypeFor[struct{}]()
)

// Of returns how a type is written. The error names the field that cannot be.
func Of(t reflect.Type) (*Type, error) {
	if found, ok := known.Load(t); ok {
		return found.(*Type), nil
	}
	c := compiler{made: map[reflect.Type]*Type{}}
	typ, err := c.compile(t, t.String())
	if err != nil {
		return nil, err
	}
	for _, made := range c.made {
		known.LoadOrStore(made.goType, made)
	}
	found, _ := known.LoadOrStore(t, typ)
	return found.(*Type), nil
}

// compiler makes the types that one type needs; types may need themselves.
type compiler struct{ made map[reflect.Type]*Type }

func (c *compiler) compile(t reflect.Type, path string) (*Type, error) {
	if made := c.made[t]; made != nil {
		return made, nil
	}
	typ := &Type{goType: t}
	c.made[t] = typ
	if special(typ) {
		return typ, nil
	}
	var err error
	switch t.Kind() {
	case reflect.Struct:
		typ.kind = kindStruct
		err = c.structure(typ, path)
	case reflect.Pointer:
		typ.kind = kindOptional
		typ.elem, err = c.compile(t.Elem(), path)
	case reflect.Slice, reflect.Array:
		typ.kind = kindList
		if t.Kind() == reflect.Array {
			typ.kind = kindArray
		}
		typ.elem, err = c.compile(t.Elem(), path+"[]")
	case reflect.Map:
		err = c.mapping(typ, path)
	default:
		return nil, fmt.Errorf("%s: a %s cannot be part of a message", path, t)
	}
	if err != nil {
		return nil, err
	}
	return typ, nil
}

// special settles the types that are written as one word.
func special(t *Type) bool {
	g := t.goType
	switch {
	case g == typeTime:
		t.kind = kindTime
	case g == typeSpan:
		t.kind = kindDuration
	case g == typeBig:
		t.kind = kindBig
	case g.Kind() != reflect.Pointer && g.Implements(typeText) && reflect.PointerTo(g).Implements(typeUntext):
		t.kind = kindText
	case g.Kind() == reflect.Slice && g.Elem().Kind() == reflect.Uint8:
		t.kind = kindBytes
	case g.Kind() == reflect.Interface && g.NumMethod() == 0:
		t.kind = kindAny
	default:
		return basic(t)
	}
	return true
}

func basic(t *Type) bool {
	switch t.goType.Kind() {
	case reflect.Bool:
		t.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		t.kind = kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		t.kind = kindUint
	case reflect.Float32, reflect.Float64:
		t.kind = kindFloat
	case reflect.String:
		t.kind = kindString
	default:
		return false
	}
	return true
}

func (c *compiler) mapping(t *Type, path string) (err error) {
	if t.key, err = c.compile(t.goType.Key(), path+" key"); err != nil {
		return err
	}
	if t.goType.Elem() == typeNone {
		t.kind, t.elem = kindSet, t.key
		return nil
	}
	t.kind = kindPairs
	if t.key.kind == kindString || t.key.kind == kindText {
		t.kind = kindObject
	}
	t.elem, err = c.compile(t.goType.Elem(), path+"[]")
	return err
}

func (c *compiler) structure(t *Type, path string) error {
	t.names = map[string]*field{}
	hidden := 0
	for _, f := range reflect.VisibleFields(t.goType) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && !isSpecial(f.Type) {
			continue // its fields are visible
		}
		if !f.IsExported() || name == "-" {
			hidden++
			continue
		}
		if through(t.goType, f.Index) {
			return fmt.Errorf("%s.%s: it is reached through an embedded pointer", path, f.Name)
		}
		if name == "" {
			name = Snake(f.Name)
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\&=`, r) }) {
			return fmt.Errorf("%s.%s: a name cannot be %q", path, f.Name, name)
		}
		if t.names[name] != nil {
			return fmt.Errorf("%s.%s: another field is named %q too", path, f.Name, name)
		}
		one, err := c.field(f, name, path+"."+f.Name)
		if err != nil {
			return err
		}
		one.number = len(t.fields)
		t.fields = append(t.fields, one)
		t.names[name] = one
		t.preset = t.preset || one.preset.IsValid() || one.typ.preset
	}
	if len(t.fields) == 0 && hidden > 0 {
		return fmt.Errorf("%s: none of its fields is exported", path)
	}
	return nil
}

func isSpecial(t reflect.Type) bool { return special(&Type{goType: t}) }

// through reports whether a field is behind an embedded pointer, which may be nil.
func through(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
		if t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

func (c *compiler) field(f reflect.StructField, name, path string) (*field, error) {
	typ, err := c.compile(f.Type, path)
	if err != nil {
		return nil, err
	}
	one := &field{
		name: name, index: f.Index, typ: typ, doc: f.Tag.Get("doc"), example: f.Tag.Get("example"),
		required: f.Tag.Get("required") == "true",
	}
	if one.rules, err = rulesOf(f.Tag, typ); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text, ok := f.Tag.Lookup("default")
	if !ok {
		return one, nil
	}
	v := reflect.New(f.Type).Elem()
	if problems := typ.DecodeText(text, v); problems != nil {
		return nil, fmt.Errorf("%s: its default %q: %w", path, text, problems)
	}
	if wrong := one.rules.check(typ, v); wrong != "" {
		return nil, fmt.Errorf("%s: its default %q %s", path, text, wrong)
	}
	one.preset = v
	return one, nil
}

// Snake writes a Go name in lower case with underscores: UserName is user_name, HTTPPort is
// http_port, X is x.
func Snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			before := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			after := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])
			if before || after {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Preset sets v, a zero value of the type, to its defaults.
func (t *Type) Preset(v reflect.Value) {
	if !t.preset {
		return
	}
	for _, f := range t.fields {
		switch {
		case f.preset.IsValid():
			v.FieldByIndex(f.index).Set(clone(f.preset))
		case f.typ.preset:
			f.typ.Preset(v.FieldByIndex(f.index))
		}
	}
}

// clone copies a default, so that messages do not share what is in it.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(clone(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), clone(it.Value()))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(clone(v.Elem()))
		return out
	case reflect.Struct:
		if v.Type() == typeBig {
			b := v.Interface().(big.Int)
			return reflect.ValueOf(new(big.Int).Set(&b)).Elem()
		}
	}
	return v
}

// Has says whether a message has a field of that name.
func (t *Type) Has(name string) bool { return t.names[name] != nil }
