package web

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

const allowed = "GET, HEAD, POST, OPTIONS"

// read returns the message of a request.
func (d *door) read(r *http.Request, h *api.Handler) (reflect.Value, error) {
	v := reflect.New(h.In.Go()).Elem()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return v, h.In.DecodeQuery(r.URL.RawQuery, v)
	case http.MethodPost:
		return v, d.body(r, h, v)
	}
	return v, problem.New(http.StatusMethodNotAllowed, r.Method+" is not what a request is sent by; GET and POST are").With("Allow", allowed)
}

func (d *door) body(r *http.Request, h *api.Handler, v reflect.Value) error {
	kind := r.Header.Get("Content-Type")
	if kind == "" && r.ContentLength == 0 {
		return h.In.DecodeQuery(r.URL.RawQuery, v)
	}
	format, err := media.Sent(kind, takes)
	if err != nil {
		return err
	}
	if r.URL.RawQuery != "" {
		return problem.New(http.StatusBadRequest, "there are both a query and a body; send the fields in one of them")
	}
	if r.ContentLength > d.opts.MaxBody { // before the client is told to send it
		return &http.MaxBytesError{Limit: d.opts.MaxBody}
	}
	body, err := media.Body(r, d.opts.MaxBody)
	if err != nil {
		return err
	}
	b := media.Buffer()
	defer media.GiveBack(b) // what is decoded shares nothing with it
	if _, err := b.ReadFrom(body); err != nil {
		return media.Broken(err)
	}
	if format == media.JSON {
		return h.In.Decode(h.In.Unwrap(b.Bytes()), v)
	}
	return format.Decode(h.In, b.Bytes(), v)
}

// takes are the formats of requests, gives those of answers.
var (
	takes = []*media.Format{media.JSON, media.Form, media.CBOR, media.XML, media.Plain}
	gives = []*media.Format{media.JSON, media.CBOR, media.XML, media.Plain}
)

// form is how a client wants its answer.
type form struct {
	format *media.Format
	plain  bool // the message alone
}

// wants reads Accept. A browser, which prefers XML to JSON if asked so, gets JSON.
func wants(r *http.Request) (form, error) {
	accept := r.Header["Accept"]
	if len(accept) == 0 || accept[0] == "*/*" || accept[0] == "application/json" {
		return form{format: media.JSON}, nil
	}
	f := form{media.JSON, wantsPlain(r)}
	if strings.Contains(accept[0], "text/html") {
		return f, nil
	}
	var err error
	f.format, err = media.Choose(accept, gives)
	return f, err
}

// wantsPlain says whether the client wants the message alone.
func wantsPlain(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "profile=plain") || strings.Contains(accept, `profile="plain"`)
}
