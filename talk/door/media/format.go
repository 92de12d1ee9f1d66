package media

import (
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/door/problem"
)

// Format is a way to write messages. Formats are compared by their addresses.
type Format struct {
	// Name is short: "json".
	Name string
	// Type is the media type, with its parameters.
	Type string
	// Also are media types that are read as this one.
	Also []string
	// Suffix is that of media types that are this one with a meaning of their own: "+json". Empty: none.
	Suffix string
	// Append writes a value of the type. Nil: the format is read only.
	Append func(t *message.Type, b []byte, v reflect.Value) ([]byte, error)
	// Decode reads one; see message.Type's Decode. Nil: the format is written only.
	Decode func(t *message.Type, data []byte, v reflect.Value) error
}

// The formats of messages.
var (
	JSON = &Format{
		Name: "json", Type: "application/json", Suffix: "+json", Decode: (*message.Type).Decode,
		Append: func(t *message.Type, b []byte, v reflect.Value) ([]byte, error) {
			out, err := t.Append(b, v)
			if err != nil {
				return b, err
			}
			return append(out, '\n'), nil
		},
	}
	XML = &Format{
		Name: "xml", Type: "application/xml", Also: []string{"text/xml"}, Suffix: "+xml",
		Append: (*message.Type).AppendXML, Decode: (*message.Type).DecodeXML,
	}
	CBOR = &Format{
		Name: "cbor", Type: "application/cbor", Suffix: "+cbor",
		Append: (*message.Type).AppendCBOR, Decode: (*message.Type).DecodeCBOR,
	}
	Plain = &Format{
		Name: "text", Type: "text/plain; charset=utf-8", Append: (*message.Type).AppendPlain,
		Decode: func(t *message.Type, data []byte, v reflect.Value) error { return t.DecodePlain(string(data), v) },
	}
	Form = &Format{
		Name: "form", Type: "application/x-www-form-urlencoded",
		Decode: func(t *message.Type, data []byte, v reflect.Value) error { return t.DecodeQuery(string(data), v) },
	}
)

// essence is the media type without parameters.
func (f *Format) essence() string {
	kind, _, _ := strings.Cut(f.Type, ";")
	return kind
}

func (f *Format) is(kind string) bool {
	if f.essence() == kind || f.Suffix != "" && strings.HasSuffix(kind, f.Suffix) {
		return true
	}
	for _, also := range f.Also {
		if also == kind {
			return true
		}
	}
	return false
}

// Sent is the format of a body by its Content-Type, among those that a door takes. The error is a problem, 415.
func Sent(contentType string, takes []*Format) (*Format, error) {
	for _, f := range takes {
		if f.Type == contentType {
			return f, nil
		}
	}
	if contentType == "" {
		return nil, unsupported("there is a body without a Content-Type; want ", takes)
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return nil, problem.New(http.StatusUnsupportedMediaType, "the charset must be utf-8")
	}
	if err == nil {
		for _, f := range takes {
			if f.is(kind) {
				return f, nil
			}
		}
	}
	return nil, unsupported("want ", takes)
}

func unsupported(say string, takes []*Format) error {
	return problem.New(http.StatusUnsupportedMediaType, say+list(takes, " or ")).With("Accept", list(takes, ", "))
}

// list names media types.
func list(all []*Format, last string) string {
	var b strings.Builder
	for i, f := range all {
		switch {
		case i > 0 && i == len(all)-1:
			b.WriteString(last)
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(f.essence())
	}
	return b.String()
}

// Types lists the media types of formats, as in a header.
func Types(all []*Format) string { return list(all, ", ") }
