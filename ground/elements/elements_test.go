package elements_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/elements"
)

func TestElements_AreReadOneByOne(t *testing.T) {
	d := elements.NewDecoder(strings.NewReader(`<?xml version="1.0" encoding="us-ascii"?><!-- c --><a> <b>x &lt;<!-- c --> y</b><c/></a>`))
	for _, want := range []string{"<a>", "<b>"} {
		if tok, err := elements.Next(d); err != nil || elements.Shown(tok) != want {
			t.Fatalf("got %v, %v, want %s", tok, err, want)
		}
	}
	if text, err := elements.Text(d); text != "x < y" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	for _, want := range []string{"<c>", "</c>", "</a>"} {
		if tok, err := elements.Next(d); err != nil || elements.Shown(tok) != want {
			t.Fatalf("got %v, %v, want %s", tok, err, want)
		}
	}
	if _, err := elements.Next(d); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestElements_RefuseWhatIsNotWanted(t *testing.T) {
	for text, want := range map[string]string{
		`<!DOCTYPE x [<!ENTITY a "b">]><x/>`: "a document type is not allowed",
		`words`:                              `the text "words" is out of place`,
	} {
		_, err := elements.Next(elements.NewDecoder(strings.NewReader(text)))
		if _, ok := errors.AsType[elements.Refused](err); !ok || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"<a>x<b/></a>":            "<b> is out of place",
		"<a>x<!DOCTYPE b></a>":    "a document type is not allowed",
		"<a>&nope;</a>":           "invalid character entity &nope;",
		"<a>x":                    "unexpected EOF",
		"<a>" + "x</b>":           "closed by </b>",
		"<a>\xff</a>":             "invalid UTF-8",
		"<a>\x00</a>":             "illegal character code",
		"<a><b" + "></b></a>":     "<b> is out of place",
		"<a><![CDATA[x]]><c></a>": "<c> is out of place",
	} {
		d := elements.NewDecoder(strings.NewReader(text))
		if _, err := elements.Next(d); err != nil {
			t.Fatal(err)
		}
		if _, err := elements.Text(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := elements.Next(elements.NewDecoder(strings.NewReader(`<?xml version="1.0" encoding="utf-16"?><a/>`))); err == nil || !strings.Contains(err.Error(), "want UTF-8") {
		t.Errorf("got %v", err)
	}
}

// Whatever comes, what Next and Text give is what the decoder has, or an error.
func FuzzText(f *testing.F) {
	f.Add("<a>x</a>")
	f.Add("<a><!DOCTYPE x></a>")
	f.Fuzz(func(t *testing.T, text string) {
		d := elements.NewDecoder(strings.NewReader(text))
		tok, err := elements.Next(d)
		if err != nil {
			return
		}
		if _, ok := tok.(xml.StartElement); !ok {
			t.Fatalf("a document begins with %v", tok)
		}
		if got, err := elements.Text(d); err == nil && len(got) > len(text) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
