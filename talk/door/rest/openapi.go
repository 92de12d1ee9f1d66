package rest

import (
	"net/http"
	"strconv"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/media"
)

type object = map[string]any

// Fields are the names of an item's fields.
func (s *Resource) Fields() []string { return s.item.Names() }

// Paths describes the collection and its items as path items of OpenAPI 3.1. It refers to the response Problem.
func (s *Resource) Paths(schemas *message.Schemas) map[string]any {
	d := description{s, schemas.Of(s.item), schemas.Of(s.page)}
	id := object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string", "minLength": 1, "maxLength": 200}}
	some := object{"schema": object{"type": "object"}}
	changes := object{mergePatch: some, plainJSON: some}
	return object{
		"/" + s.name: object{
			"get":  d.list(),
			"post": d.operation("make", "make a new item", nil, d.sent(), d.stored(http.StatusCreated)),
		},
		"/" + s.name + "/{id}": object{
			"parameters": []object{id},
			"get": d.operation("get", "the item", d.conditions(false), nil, object{
				"200": d.tagged("the item", contents(d.item, gives)), "304": object{"description": "the client has it already"},
			}),
			"put":    d.operation("put", "make or replace the item", d.conditions(true), d.sent(), d.stored(http.StatusOK, http.StatusCreated)),
			"patch":  d.operation("patch", "change parts of the item", d.conditions(true), object{"required": true, "content": changes}, d.stored(http.StatusOK)),
			"delete": d.operation("delete", "delete the item", d.conditions(true), nil, object{"204": object{"description": "it is deleted"}}),
		},
	}
}

type description struct {
	s          *Resource
	item, page object
}

// contents are the formats that something is written in; a text is one whatever it is of.
func contents(schema object, formats []*media.Format) object {
	out := object{}
	for _, f := range formats {
		out[f.Type] = object{"schema": schema}
		if f == media.Plain || f == html {
			out[f.Type] = object{"schema": object{"type": "string"}}
		}
	}
	return out
}

func (d description) sent() object {
	return object{"required": true, "content": contents(d.item, takes)}
}

// tagged is an answer with an ETag.
func (d description) tagged(text string, content object) object {
	return object{"description": text, "content": content, "headers": object{"ETag": object{"schema": object{"type": "string"}}}}
}

func (d description) stored(statuses ...int) object {
	out := object{}
	for _, status := range statuses {
		text := "the item as it is now"
		if status == http.StatusCreated {
			text = "it is made; Location says where"
		}
		out[strconv.Itoa(status)] = d.tagged(text, contents(d.item, gives))
	}
	return out
}

func (d description) operation(verb, summary string, parameters []object, body, responses object) object {
	responses["default"] = object{"$ref": "#/components/responses/Problem"}
	out := object{"operationId": verb + "_" + d.s.name, "summary": summary, "tags": []string{d.s.name}, "responses": responses}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if body != nil {
		out["requestBody"] = body
	}
	return out
}

func (d description) conditions(changes bool) []object {
	text := object{"type": "string"}
	none := object{"name": "If-None-Match", "in": "header", "schema": text, "description": "the ETag that the client has; 304 if it is the present one"}
	if !changes {
		return []object{none}
	}
	none["description"] = "* : only if there is none"
	return []object{{"name": "If-Match", "in": "header", "schema": text, "description": "the ETag of what is to be changed; 412 if it is not the present one"}, none}
}

func (d description) list() object {
	parameters := []object{
		{"name": "limit", "in": "query", "schema": object{"type": "integer", "minimum": 1, "maximum": d.s.opts.MaxPage, "default": min(usualPage, d.s.opts.MaxPage)}},
		{"name": "cursor", "in": "query", "schema": object{"type": "string"}, "description": "next of the page before"},
	}
	for _, leaf := range d.s.item.Leaves() {
		if leaf.Path != "limit" && leaf.Path != "cursor" {
			parameters = append(parameters, object{"name": leaf.Path, "in": "query", "schema": object{"type": "string"}, "description": "only items with this value"})
		}
	}
	page := d.tagged("a page of the items", contents(d.page, gives))
	return d.operation("list", "the items, in the order of their ids", parameters, nil, object{"200": page, "304": object{"description": "the client has it already"}})
}
