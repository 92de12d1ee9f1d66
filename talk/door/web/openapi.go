package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

type object = map[string]any

// openAPI describes an API as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html).
func openAPI(a *api.API, resources []Described) ([]byte, error) {
	schemas := message.Schemas{Ref: "#/components/schemas/"}
	failure := object{
		"type": "object", "required": []string{"title", "status", "detail", "kind"},
		"properties": object{
			"title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"},
			"kind": object{"type": "string"}, "hint": object{"type": "string"}, "request_id": object{"type": "string"},
			"errors": object{"type": "array", "items": object{"type": "object", "properties": object{
				"path": object{"type": "string"}, "text": object{"type": "string"},
			}}},
		},
	}
	paths := object{}
	for _, h := range a.Handlers() {
		paths["/"+h.Name] = path(a, h, &schemas)
	}
	for _, r := range resources {
		for path, item := range r.Paths(&schemas) {
			paths[path] = item
		}
	}
	all := object{}
	for name, schema := range schemas.All {
		all[name] = schema
	}
	version := a.Version()
	if version == "" {
		version = "0"
	}
	info := object{"title": a.Name, "version": version}
	if a.Doc() != "" {
		info["description"] = a.Doc()
	}
	doc := object{
		"openapi": "3.1.1", "info": info, "servers": []object{{"url": "."}}, "paths": paths,
		"components": object{
			"schemas": all,
			"responses": object{"Problem": object{
				"description": "what went wrong (RFC 9457)",
				"content":     object{problem.Type: object{"schema": failure}},
			}},
		},
	}
	return json.MarshalIndent(doc, "", "  ")
}

// path describes one request, by GET and by POST.
func path(a *api.API, h *api.Handler, s *message.Schemas) object {
	in := s.Of(h.In)
	content := object{}
	for _, f := range takes {
		content[f.Type] = object{"schema": in}
	}
	content[media.Plain.Type] = object{"schema": object{"type": "string"}}
	body := object{"required": true, "content": content}
	get := operation(a, h, s, "get")
	if params := parameters(h, s); len(params) > 0 {
		get["parameters"] = params
	}
	post := operation(a, h, s, "post")
	post["requestBody"] = body
	return object{"get": get, "post": post}
}

func operation(a *api.API, h *api.Handler, s *message.Schemas, method string) object {
	enveloped, plain := []any{}, []any{}
	for _, r := range h.Replies {
		one := s.Of(r)
		plain = append(plain, one)
		enveloped = append(enveloped, object{
			"type": "object", "required": []string{"value"},
			"properties": object{"value": object{
				"type": "array", "minItems": 3, "maxItems": 3,
				"prefixItems": []any{object{"const": a.Name + "." + r.Name()}, one, object{"type": "array"}},
			}},
		})
	}
	out := object{
		"operationId": method + h.Name,
		"responses": object{
			"200": object{"description": "the answer, and its type", "content": object{
				"application/json":                object{"schema": object{"anyOf": enveloped}},
				"application/json; profile=plain": object{"schema": object{"anyOf": plain}},
				"application/cbor":                object{"schema": object{"anyOf": enveloped}},
				"application/xml":                 object{"schema": object{"anyOf": plain}},
				"text/plain; charset=utf-8":       object{"schema": object{"type": "string"}},
			}},
			"default": object{"$ref": "#/components/responses/Problem"},
		},
	}
	if h.Doc != "" {
		out["summary"] = h.Doc
	}
	return out
}

// parameters are a message's fields in a query; what is more than a word is JSON there.
func parameters(h *api.Handler, s *message.Schemas) (all []object) {
	properties, required := s.Fields(h.In)
	for _, name := range h.In.Names() {
		p := object{"name": name, "in": "query"}
		schema := properties[name].(object)
		if required[name] {
			p["required"] = true
		} else if zero := leftOut(schema); zero != nil {
			schema["default"] = zero
		}
		switch h.In.Field(name).Shape() {
		case message.Struct, message.Any:
			p["content"] = object{"application/json": object{"schema": schema}}
		default:
			p["schema"] = schema
		}
		all = append(all, p)
	}
	return all
}

// leftOut is what a field is that is left out, of those that a schema says nothing of: a number or a truth value without a default and rules
// of its own. nil for others.
func leftOut(schema object) any {
	if schema["default"] != nil || schema["enum"] != nil {
		return nil
	}
	for _, rule := range []string{"minimum", "maximum"} {
		if _, own := schema[rule].(json.Number); own {
			return nil
		}
	}
	switch schema["type"] {
	case "number", "integer":
		return 0
	case "boolean":
		return false
	}
	return nil
}

// pages are what describes the API, made at the first time somebody asks.
type pages struct {
	openAPI, html []byte
	err           error
}

func (d *door) describe() pages {
	d.once.Do(func() {
		d.pages.openAPI, d.pages.err = openAPI(d.api, d.opts.Resources)
		if d.pages.err == nil {
			d.pages.html, d.pages.err = page(d.api, d.opts.Resources)
		}
	})
	return d.pages
}

// describes answers requests about the API itself, and reports whether this was one.
func (d *door) describes(w http.ResponseWriter, r *http.Request) bool {
	kind := ""
	switch r.URL.Path {
	case "/openapi.json":
		kind = "application/vnd.oai.openapi+json;version=3.1"
	case "/", "":
		kind = "text/html; charset=utf-8"
	default:
		return false
	}
	span.Of(r.Context()).Routed(r, "/"+strings.TrimPrefix(r.URL.Path, "/"))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		problem.Write(w, problem.New(http.StatusMethodNotAllowed, r.Method+" is not for this; GET is").With("Allow", "GET, HEAD, OPTIONS"))
		return true
	}
	all := d.describe()
	if all.err != nil {
		problem.Write(w, all.err)
		return true
	}
	data := all.openAPI
	h := w.Header()
	if kind[:4] == "text" {
		data = all.html
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	}
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.Write(data)
	return true
}
