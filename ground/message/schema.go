package message

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
)

// Schemas are the JSON Schemas (2020-12) of named types, by name; what refers to them does so by Ref.
type Schemas struct {
	// Ref comes before a name in a reference. Default: "#/$defs/".
	Ref string
	// All holds the schemas that were asked for and those they need.
	All map[string]any

	types map[string]reflect.Type
}

// Of returns the schema of a type: of a struct with a name a reference, all else as it is.
func (s *Schemas) Of(t *Type) map[string]any {
	if s.All == nil {
		s.All, s.types = map[string]any{}, map[string]reflect.Type{}
	}
	if s.Ref == "" {
		s.Ref = "#/$defs/"
	}
	if t.kind != kindStruct || t.Name() == "" {
		return s.inline(t)
	}
	name := s.name(t)
	if _, ok := s.All[name]; !ok {
		s.All[name] = nil // it may need itself
		s.All[name] = s.inline(t)
	}
	return map[string]any{"$ref": s.Ref + name}
}

// name is a type's name, with a number when another type has it already.
func (s *Schemas) name(t *Type) string {
	name := t.Name()
	for i := 2; s.types[name] != nil && s.types[name] != t.goType; i++ {
		name = fmt.Sprint(t.Name(), i)
	}
	s.types[name] = t.goType
	return name
}

func (s *Schemas) inline(t *Type) map[string]any {
	switch t.kind {
	case kindBool:
		return map[string]any{"type": "boolean"}
	case kindInt, kindUint:
		return whole(t)
	case kindBig:
		return map[string]any{"type": "integer"}
	case kindFloat:
		return map[string]any{"type": "number", "format": map[int]string{32: "float", 64: "double"}[t.goType.Bits()]}
	case kindStruct:
		return s.structure(t)
	case kindOptional:
		return map[string]any{"anyOf": []any{s.Of(t.elem), map[string]any{"type": "null"}}}
	case kindList:
		return map[string]any{"type": "array", "items": s.Of(t.elem)}
	case kindArray:
		return map[string]any{"type": "array", "items": s.Of(t.elem), "minItems": t.goType.Len(), "maxItems": t.goType.Len()}
	case kindSet:
		return map[string]any{"type": "array", "items": s.Of(t.elem), "uniqueItems": true}
	case kindObject:
		return map[string]any{"type": "object", "additionalProperties": s.Of(t.elem)}
	case kindPairs:
		return map[string]any{"type": "array", "items": map[string]any{
			"type": "array", "prefixItems": []any{s.Of(t.key), s.Of(t.elem)}, "minItems": 2, "maxItems": 2,
		}}
	case kindAny:
		return map[string]any{}
	}
	return textual(t)
}

func whole(t *Type) map[string]any {
	out := map[string]any{"type": "integer"}
	bits := t.goType.Bits()
	switch {
	case t.kind == kindUint:
		out["minimum"] = 0
		if bits < 64 {
			out["maximum"] = uint64(1)<<bits - 1
		}
	case bits < 64:
		out["minimum"], out["maximum"] = -(int64(1) << (bits - 1)), int64(1)<<(bits-1)-1
	}
	if bits == 32 || bits == 64 {
		out["format"] = fmt.Sprint("int", bits)
	}
	return out
}

// formats of texts that JSON Schema has a name for.
var formats = map[reflect.Type]string{
	reflect.TypeFor[url.URL](): "uri",
}

func textual(t *Type) map[string]any {
	out := map[string]any{"type": "string"}
	switch t.kind {
	case kindBytes:
		out["contentEncoding"] = "base64"
	case kindTime:
		out["format"] = "date-time"
	case kindDuration:
		out["pattern"] = `^[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$|^0$`
		out["examples"] = []any{"1h30m", "250ms"}
	case kindText:
		switch {
		case formats[t.goType] != "":
			out["format"] = formats[t.goType]
		case t.goType == reflect.TypeFor[netip.Addr]():
			out["anyOf"] = []any{map[string]any{"format": "ipv4"}, map[string]any{"format": "ipv6"}}
		case t.goType.Name() == "UUID":
			out["format"] = "uuid"
		}
	}
	return out
}

// Fields returns the schemas of a message's fields by name, and which of them are required.
func (s *Schemas) Fields(t *Type) (fields map[string]any, required map[string]bool) {
	s.Of(t)
	whole := s.structure(t)
	required = map[string]bool{}
	for _, f := range t.fields {
		required[f.name] = f.required
	}
	return whole["properties"].(map[string]any), required
}

func (s *Schemas) structure(t *Type) map[string]any {
	properties := map[string]any{}
	required := []any{}
	for _, f := range t.fields {
		properties[f.name] = s.property(f)
		if f.required {
			required = append(required, f.name)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (s *Schemas) property(f *field) map[string]any {
	out := s.Of(f.typ)
	if f.doc != "" {
		out["description"] = f.doc
	}
	if f.example != "" {
		v := reflect.New(f.typ.goType).Elem()
		if f.typ.DecodeText(f.example, v) == nil {
			out["examples"] = []any{s.raw(f.typ, v)}
		}
	}
	if f.preset.IsValid() {
		out["default"] = s.raw(f.typ, f.preset)
	}
	f.rules.describe(f.typ.base(), out)
	return out
}

func (s *Schemas) raw(t *Type, v reflect.Value) any {
	b, err := t.Append(nil, v)
	if err != nil {
		return nil
	}
	return json.RawMessage(b)
}

// describe adds what the rules ask for.
func (r *rules) describe(t *Type, out map[string]any) {
	if r == nil {
		return
	}
	if r.min != nil {
		out["minimum"] = json.Number(r.minText)
	}
	if r.max != nil {
		out["maximum"] = json.Number(r.maxText)
	}
	least, most := "minItems", "maxItems"
	switch t.kind {
	case kindString:
		least, most = "minLength", "maxLength"
	case kindObject:
		least, most = "minProperties", "maxProperties"
	case kindBytes:
		least, most = "", "" // of the bytes, not of their text
	}
	if r.minLength >= 0 && least != "" {
		out[least] = r.minLength
	}
	if r.maxLength >= 0 && most != "" {
		out[most] = r.maxLength
	}
	if r.pattern != nil {
		out["pattern"] = r.pattern.String()
	}
	if r.enum != nil {
		out["enum"] = r.enum
	}
}
