package rest

import (
	"bytes"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/problem"
)

const (
	mergePatch = "application/merge-patch+json"
	plainJSON  = "application/json" // what many clients call it
	patches    = mergePatch + ", " + plainJSON
	maxDepth   = 100
)

func checkPatch(contentType string) error {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != mergePatch && kind != plainJSON {
		return problem.New(http.StatusUnsupportedMediaType, "want "+mergePatch+" or "+plainJSON).With("Accept-Patch", patches)
	}
	return nil
}

// member is one of an object that is patched.
type member struct {
	name  string // as JSON
	value jsontext.Value
}

// merge applies a merge patch (RFC 7396) to a JSON value. Members keep their order, new ones follow.
func merge(target, patch jsontext.Value, depth int) (jsontext.Value, error) {
	if depth > maxDepth {
		return nil, message.Problems{{Text: "it is nested more than 100 levels deep"}}
	}
	if patch.Kind() != '{' {
		return patch, nil
	}
	changes, err := members(patch)
	if err != nil {
		return nil, err
	}
	var all []member
	if target.Kind() == '{' {
		if all, err = members(target); err != nil {
			return nil, err
		}
	}
	at := make(map[string]int, len(all))
	for i, m := range all {
		at[m.name] = i
	}
	for _, c := range changes {
		i, there := at[c.name]
		if !there {
			all = append(all, member{name: c.name})
			i = len(all) - 1
		}
		if c.value.Kind() == 'n' {
			all[i].value = nil
		} else if all[i].value, err = merge(all[i].value, c.value, depth+1); err != nil {
			return nil, err
		}
	}
	return joined(all), nil
}

// joined writes the members that are left.
func joined(all []member) jsontext.Value {
	out := jsontext.Value{'{'}
	for _, m := range all {
		if m.value == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.name...), ':'), m.value...)
	}
	return append(out, '}')
}

// members reads an object. Its names are written in one way.
func members(v jsontext.Value) (all []member, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	if _, err = d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		quoted, err := jsontext.AppendQuote(nil, name.String())
		if err != nil {
			return nil, err
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		all = append(all, member{string(quoted), value.Clone()})
	}
	return all, nil
}

// parsePatch checks that a patch is JSON; equal names twice are none.
func parsePatch(data []byte) (jsontext.Value, error) {
	v := jsontext.Value(bytes.TrimSpace(data))
	d := jsontext.NewDecoder(bytes.NewReader(v))
	if err := d.SkipValue(); err != nil {
		return nil, message.Problems{{Text: "the patch is not JSON: " + err.Error()}}
	}
	if !v.IsValid() {
		return nil, message.Problems{{Text: "something follows the patch"}}
	}
	return v, nil
}
