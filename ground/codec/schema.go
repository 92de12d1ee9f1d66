package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

var (
	typeTime     = reflect.TypeFor[time.Time]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeBig      = reflect.TypeFor[big.Int]()
	typeBytes    = reflect.TypeFor[[]byte]()
	typeRaw      = reflect.TypeFor[json.RawMessage]()
	typeText     = reflect.TypeFor[encoding.TextMarshaler]()
	typeBinary   = reflect.TypeFor[encoding.BinaryMarshaler]()
	typeCBOR     = reflect.TypeFor[cbor.Marshaler]()
	typeJSON     = reflect.TypeFor[json.Marshaler]()
)

// Check reports why values of type t cannot travel, naming the field, or nil.
// What an interface holds is only known, and checked, when it is sent.
func Check(t reflect.Type) error {
	return check(t, t.String(), map[reflect.Type]bool{})
}

func check(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] || travelsByItself(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Errorf("%s: a %s has no form outside its process", path, t.Kind())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return check(t.Elem(), path, seen)
	case reflect.Map:
		if err := check(t.Key(), path+" key", seen); err != nil {
			return err
		}
		return check(t.Elem(), path, seen)
	case reflect.Struct:
		visible := 0
		for _, f := range fields(t) {
			visible++
			if err := check(f.Type, path+"."+f.Name, seen); err != nil {
				return err
			}
		}
		if visible == 0 && t.NumField() > 0 {
			return fmt.Errorf("%s: none of its fields is exported, nothing of it would arrive", path)
		}
	}
	return nil
}

func travelsByItself(t reflect.Type) bool {
	if t == typeTime || t == typeBig || t == typeRaw {
		return true
	}
	for _, m := range []reflect.Type{typeCBOR, typeBinary, typeText} {
		if t.Implements(m) || reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return false
}

// fields returns the struct's fields that travel, those of embedded structs included.
func fields(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || tagName(f) == "-" || f.Anonymous && tagName(f) == "" && indirect(f.Type).Kind() == reflect.Struct {
			continue
		}
		out = append(out, f)
	}
	return out
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// tag returns the field's cbor tag, else its json tag, as the encoder chooses.
func tag(f reflect.StructField) string {
	if s := f.Tag.Get("cbor"); s != "" {
		return s
	}
	return f.Tag.Get("json")
}

func tagName(f reflect.StructField) string {
	name, _, _ := strings.Cut(tag(f), ",")
	return name
}

// Schema describes t as JSON Schema 2020-12, as its JSON form looks.
func Schema(t reflect.Type) json.RawMessage {
	s := schemer{defs: map[string]any{}, names: map[reflect.Type]string{}}
	root := s.of(t)
	if len(s.defs) > 0 {
		root["$defs"] = s.defs
	}
	b, err := json.Marshal(root)
	if err != nil {
		return json.RawMessage("{}")
	}
	return b
}

// schemer collects named structs under $defs, so that recursive types end.
type schemer struct {
	defs  map[string]any
	names map[reflect.Type]string
}

func (s *schemer) of(t reflect.Type) map[string]any {
	switch t {
	case typeTime:
		return map[string]any{"type": "string", "format": "date-time"}
	case typeDuration:
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case typeBig:
		return map[string]any{"type": "integer"}
	case typeBytes:
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	case typeRaw:
		return map[string]any{}
	}
	if t.Kind() == reflect.Pointer {
		if t.Elem() == typeBig {
			return s.of(t.Elem())
		}
		inner := s.of(t.Elem())
		if name, ok := inner["type"].(string); ok {
			inner["type"] = []string{name, "null"}
			return inner
		}
		return map[string]any{"anyOf": []any{inner, map[string]any{"type": "null"}}}
	}
	switch {
	case t.Implements(typeJSON) || reflect.PointerTo(t).Implements(typeJSON):
		return map[string]any{}
	case t.Implements(typeText) || reflect.PointerTo(t).Implements(typeText):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Array:
		return map[string]any{"type": "array", "items": s.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	}
	return map[string]any{}
}

func (s *schemer) object(t reflect.Type) map[string]any {
	if t.Name() == "" {
		return s.properties(t)
	}
	name, ok := s.names[t]
	if !ok {
		name = t.Name()
		for i := 2; s.defs[name] != nil; i++ {
			name = fmt.Sprintf("%s%d", t.Name(), i)
		}
		s.names[t] = name
		s.defs[name] = map[string]any{} // stands in while the fields are described
		s.defs[name] = s.properties(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (s *schemer) properties(t reflect.Type) map[string]any {
	props := map[string]any{}
	required := []string{}
	for _, f := range fields(t) {
		name := tagName(f)
		if name == "" {
			name = f.Name
		}
		props[name] = s.of(f.Type)
		if !strings.Contains(tag(f), ",omit") && f.Type.Kind() != reflect.Pointer {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
