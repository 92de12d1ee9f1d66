package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// schema is the part of JSON Schema that package codec writes, for a reader.
type schema struct {
	Type       types             `json:"type"`
	Format     string            `json:"format"`
	Encoding   string            `json:"contentEncoding"`
	About      string            `json:"description"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	More       *schema           `json:"additionalProperties"`
	AnyOf      []schema          `json:"anyOf"`
	Ref        string            `json:"$ref"`
	Defs       map[string]schema `json:"$defs"`
	known      bool
}

// types is one name or several.
type types []string

func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// parseSchema reads a schema; what it cannot read means any value.
func parseSchema(raw json.RawMessage) schema {
	var s schema
	s.known = len(raw) > 0 && json.Unmarshal(raw, &s) == nil
	return s
}

// takesNothing reports whether an object without properties fits.
func (s schema) takesNothing() bool {
	if !s.known {
		return true
	}
	at := s.resolve(s.Defs)
	return slices.Contains(at.Type, "object") && len(at.Required) == 0 || len(at.Type) == 0 && len(at.AnyOf) == 0
}

func (s schema) resolve(defs map[string]schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		return defs[name]
	}
	return s
}

// String writes the schema as a signature would: {x number, y number}.
func (s schema) String() string {
	var b strings.Builder
	s.write(&b, s.Defs, 0)
	return b.String()
}

// maxNesting ends recursive types.
const maxNesting = 3

func (s schema) write(b *strings.Builder, defs map[string]schema, depth int) {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		if depth >= maxNesting {
			b.WriteString(name)
			return
		}
		defs[name].write(b, defs, depth)
		return
	}
	switch {
	case len(s.AnyOf) > 0:
		s.AnyOf[0].write(b, defs, depth)
		if len(s.AnyOf) > 1 && slices.Contains(s.AnyOf[1].Type, "null") {
			b.WriteByte('?')
		}
	case s.Format == "date-time":
		b.WriteString("time")
	case s.Encoding == "base64":
		b.WriteString("bytes")
	case slices.Contains(s.Type, "object"):
		s.writeObject(b, defs, depth)
	case slices.Contains(s.Type, "array"):
		b.WriteString("[")
		if s.Items != nil {
			s.Items.write(b, defs, depth+1)
		}
		b.WriteString("]")
	case len(s.Type) == 0:
		b.WriteString("any")
	default:
		b.WriteString(s.Type[0])
		if slices.Contains(s.Type, "null") {
			b.WriteByte('?')
		}
		if s.About != "" {
			b.WriteString(" (" + s.About + ")")
		}
	}
}

func (s schema) writeObject(b *strings.Builder, defs map[string]schema, depth int) {
	if s.More != nil {
		b.WriteString("{text: ")
		s.More.write(b, defs, depth+1)
		b.WriteString("}")
		return
	}
	if depth >= maxNesting {
		b.WriteString("{…}")
		return
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
		if !slices.Contains(s.Required, name) {
			b.WriteByte('?')
		}
		b.WriteByte(' ')
		s.Properties[name].write(b, defs, depth+1)
	}
	b.WriteByte('}')
}
