package message_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/message"
)

func TestSchemas_DescribeTypesOnce(t *testing.T) {
	type deep struct {
		Self  *deep
		Port  uint16            `doc:"where" default:"80" minimum:"1" example:"8080"`
		Name  string            `required:"true" minLength:"1" pattern:"^a"`
		Kind  string            `enum:"x,y"`
		Tags  map[string]bool   `maxLength:"3"`
		Pairs map[int][]byte    `minLength:"1"`
		Set   map[int8]struct{} `maxLength:"9"`
		Any   any
	}
	var s message.Schemas
	got, err := json.Marshal([]any{s.Of(of[deep](t)), s.Of(of[[]deep](t)), s.All})
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"$ref":"#/$defs/deep"},{"items":{"$ref":"#/$defs/deep"},"type":"array"},{"deep":{"additionalProperties":false,"properties":{` +
		`"any":{},"kind":{"enum":["x","y"],"type":"string"},"name":{"minLength":1,"pattern":"^a","type":"string"},` +
		`"pairs":{"items":{"maxItems":2,"minItems":2,"prefixItems":[{"format":"int64","type":"integer"},{"contentEncoding":"base64","type":"string"}],"type":"array"},"minItems":1,"type":"array"},` +
		`"port":{"default":80,"description":"where","examples":[8080],"maximum":65535,"minimum":1,"type":"integer"},` +
		`"self":{"anyOf":[{"$ref":"#/$defs/deep"},{"type":"null"}]},` +
		`"set":{"items":{"maximum":127,"minimum":-128,"type":"integer"},"maxItems":9,"type":"array","uniqueItems":true},` +
		`"tags":{"additionalProperties":{"type":"boolean"},"maxProperties":3,"type":"object"}},"required":["name"],"type":"object"}}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
