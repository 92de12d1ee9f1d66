package rest

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/media"
)

// The table of RFC 7396, Appendix A.
func TestMerge_IsThatOfItsRFC(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"\u0061":1,"n":12345678901234567890}`, `{"a":null}`, `{"n":12345678901234567890}`},
	} {
		got, err := merge(jsontext.Value(c[0]), jsontext.Value(c[1]), 0)
		if err != nil || string(got) != c[2] {
			t.Errorf("%s with %s: got %s, %v, want %s", c[0], c[1], got, err, c[2])
		}
	}
}

// Merging is done once: again it changes nothing.
func FuzzMerge(f *testing.F) {
	f.Add(`{"a":{"b":[1]}}`, `{"a":{"b":null,"c":{"d":null}},"x":"\ud800"}`)
	f.Add(`1`, `{"a":{}}`)
	f.Fuzz(func(t *testing.T, target, patch string) {
		p, err := parsePatch([]byte(patch))
		if err != nil || !jsontext.Value(target).IsValid() {
			return
		}
		once, err := merge(jsontext.Value(target), p, 0)
		if err != nil {
			return
		}
		if !once.IsValid() {
			t.Fatalf("%s with %s is %s", target, patch, once)
		}
		twice, err := merge(once, p, 0)
		if err != nil || string(twice) != string(once) {
			t.Errorf("%s, %v", cmp.Diff(string(once), string(twice)), err)
		}
	})
}

func FuzzTags(f *testing.F) {
	f.Add(`W/"a", "b,c" ,*`, "7")
	f.Add(`"x.json`, "a\"b, %\n")
	f.Fuzz(func(t *testing.T, field, revision string) {
		if all, err := tags("If-Match", []string{field}); err == nil {
			for _, one := range all {
				if one.text != "*" && (len(one.text) < 2 || strings.Count(one.text, `"`) != 2) {
					t.Errorf("%q has the tag %q", field, one.text)
				}
			}
		}
		for _, packed := range []bool{false, true} {
			all, err := tags("If-Match", []string{etag(revision, media.JSON, packed)})
			if err != nil || len(all) != 1 || !all[0].of(revision) || all[0].weak || all[0].of(revision+"x") {
				t.Errorf("the tag of %q is %s: %v, %v", revision, etag(revision, media.JSON, packed), all, err)
			}
		}
	})
}

func TestPaths_ReferToWhatIsThere(t *testing.T) {
	type Note struct{ Title string }
	r, err := New("notes", new(collection.Memory[Note]), &Options{Doc: "what is to be done"})
	if err != nil {
		t.Fatal(err)
	}
	s := message.Schemas{Ref: "#/components/schemas/"}
	paths := r.Paths(&s)
	if len(paths) != 2 || s.All["Note"] == nil || s.All["PageNote"] == nil || s.All["EntryNote"] == nil {
		t.Errorf("got %v and %v", paths, s.All)
	}
}
