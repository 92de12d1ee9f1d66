package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"reflect"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// input is a field of a request on the page.
type input struct {
	Name, Doc, Kind, Value, Hint string
	Required                     bool
	Choices                      []string
}

type request struct {
	Name, Doc string
	Inputs    []input
	Replies   []string
}

// page is what people read at /.
func page(a *api.API, resources []Described) ([]byte, error) {
	var all []request
	marked := false
	s := message.Schemas{}
	for _, h := range a.Handlers() {
		r := request{Name: h.Name, Doc: h.Doc}
		for _, t := range h.Replies {
			r.Replies = append(r.Replies, a.Name+"."+t.Name())
		}
		fields, required := s.Fields(h.In)
		for _, name := range h.In.Names() {
			in := inputOf(name, h.In.Field(name), fields[name].(map[string]any), required[name])
			r.Inputs, marked = append(r.Inputs, in), marked || in.Required
		}
		all = append(all, r)
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{"Name": a.Name, "Doc": a.Doc(), "Version": a.Version(), "Requests": all, "Resources": resources, "Marked": marked})
	return b.Bytes(), err
}

func inputOf(name string, t *message.Type, schema map[string]any, required bool) input {
	in := input{Name: name, Required: required, Kind: "text", Hint: "text"}
	in.Doc, _ = schema["description"].(string)
	in.Choices, _ = schema["enum"].([]string)
	switch t.Shape() {
	case message.Bool:
		in.Kind, in.Choices, in.Hint = "json", []string{"false", "true"}, ""
	case message.Whole, message.Number:
		in.Kind, in.Hint = "json", "number"
	case message.Array, message.Struct, message.Any:
		in.Kind, in.Hint = "json", outline(t)
	case message.Time:
		in.Hint = "2026-01-02T15:04:05Z"
	case message.Bytes:
		in.Hint = "base64"
	}
	if raw, ok := schema["default"].(json.RawMessage); ok {
		in.Value = string(raw)
		if in.Kind == "text" {
			json.Unmarshal(raw, &in.Value)
		}
	}
	if zero := leftOut(schema); zero != nil && !required && in.Hint != "" {
		in.Hint += fmt.Sprintf(", %v if empty", zero)
	}
	return in
}

// outline shows how a value is written as JSON that is no single word: its members, and one element.
func outline(t *message.Type) string {
	v := reflect.New(t.Go()).Elem()
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	}
	text, err := t.Append(nil, v)
	switch string(text) {
	case "null", "{}", "[]": // it says nothing
		return "JSON"
	}
	if err != nil || len(text) > 200 {
		return "JSON"
	}
	return "JSON, as " + string(text)
}
