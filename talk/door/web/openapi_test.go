package web_test

import (
	"encoding/json"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/universal-server/become/talk/door/web"
)

// described is what an API says of itself, checked by others.
func described(t *testing.T, text string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil || !doc.IsOpenAPI31OrLater() {
		t.Fatalf("it is not valid: %v\n%s", err, text)
	}
	return doc
}

func TestOpenAPI_IsValidAndTrue(t *testing.T) {
	s := start(t, &web.Options{})
	_, text := ask(t, s, "GET", "/openapi.json", "", "")
	doc := described(t, text)
	for _, c := range []struct{ path, accept string }{
		{"/Multiply?x=1.5&y=2.25", "application/json"},
		{"/Multiply?x=1.5&y=2.25", "application/json; profile=plain"},
		{"/Square?x=123456789012345678901234567890", "application/json"},
		{"/Pick", "application/json"},
		{"/Pick?other=true", "application/json"},
		{"/Nothing", "application/problem+json"},
		{"/Multiply?z=1", "application/problem+json"},
	} {
		res, body := ask(t, s, "GET", c.path, "", "", "Accept", c.accept)
		response := doc.Components.Responses["Problem"]
		if res.StatusCode == 200 {
			response = doc.Paths.Find(res.Request.URL.Path).Get.Responses.Status(200)
		}
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		if err := response.Value.Content[c.accept].Schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s: %s is not as described: %v", c.path, body, err)
		}
	}
	// A schema that everything is true of would prove nothing.
	multiply := doc.Paths.Find("/Multiply").Get.Responses.Status(200).Value.Content["application/json"].Schema.Value
	for _, wrong := range []string{`{"value":["crunch.Other",{"value":1},[]]}`, `{"value":["crunch.Output",{"value":"1"},[]]}`, `{"value":["crunch.Output",{"value":1}]}`, `{}`} {
		var value any
		if err := json.Unmarshal([]byte(wrong), &value); err != nil {
			t.Fatal(err)
		}
		if multiply.VisitJSON(value, openapi3.EnableJSONSchema2020()) == nil {
			t.Errorf("%s is taken for an answer", wrong)
		}
	}
}
