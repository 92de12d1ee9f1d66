package elements

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Tokens is where tokens come from: an *xml.Decoder, or what is faster for those who know what comes.
type Tokens interface {
	Token() (xml.Token, error)
}

// Refused is why a document is not taken that is XML all the same.
type Refused string

func (r Refused) Error() string { return string(r) }

const noDoctype = Refused("a document type is not allowed")

// NewDecoder returns a decoder of UTF-8, and of US-ASCII, which is a part of it. Another charset is an error.
func NewDecoder(r io.Reader) *xml.Decoder {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return r, nil
		}
		return nil, fmt.Errorf("the charset %q is not known; want UTF-8", charset)
	}
	return d
}

// Next returns the next start or end of an element, an xml.StartElement or xml.EndElement. io.EOF when there is none.
func Next(d Tokens) (xml.Token, error) {
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch x := tok.(type) {
		case xml.Directive:
			return nil, noDoctype
		case xml.CharData:
			if text := strings.TrimSpace(string(x)); text != "" {
				return nil, Refused(fmt.Sprintf("the text %.20q is out of place", text))
			}
		case xml.StartElement, xml.EndElement:
			return tok, nil
		}
	}
}

// Text returns the text of an element whose start was read, and passes over its end.
func Text(d Tokens) (string, error) {
	text, tok, err := TextTo(d)
	if _, another := tok.(xml.StartElement); another {
		err = Refused(Shown(tok) + " is out of place")
	}
	return text, err
}

// TextTo returns the text up to the next start or end of an element, and that.
func TextTo(d Tokens) (string, xml.Token, error) {
	var b strings.Builder
	for {
		tok, err := d.Token()
		if err != nil {
			return "", nil, err
		}
		switch x := tok.(type) {
		case xml.CharData:
			b.Write(x)
		case xml.StartElement, xml.EndElement:
			return b.String(), tok, nil
		case xml.Directive:
			return "", nil, noDoctype
		}
	}
}

// Shown is a token as a person sees it, not all of it if it is long.
func Shown(tok xml.Token) string {
	switch x := tok.(type) {
	case xml.StartElement:
		return fmt.Sprintf("<%.40s>", x.Name.Local)
	case xml.EndElement:
		return fmt.Sprintf("</%.40s>", x.Name.Local)
	}
	return "what is there"
}
