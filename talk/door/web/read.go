package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/universal-server/become/talk/api"
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

// buffers hold bodies and answers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept is how large a buffer may be to be kept.
const maxKept = 64 << 10

func giveBack(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}

func (d *door) body(r *http.Request, h *api.Handler, v reflect.Value) error {
	kind := r.Header.Get("Content-Type")
	if kind == "" && r.ContentLength == 0 {
		return h.In.DecodeQuery(r.URL.RawQuery, v)
	}
	form, err := isForm(kind)
	if err != nil {
		return err
	}
	body, err := d.unpacked(r)
	if err != nil {
		return err
	}
	b := buffers.Get().(*bytes.Buffer)
	defer giveBack(b) // what is decoded shares nothing with it
	if _, err := b.ReadFrom(body); err != nil {
		return badBody(err)
	}
	if form {
		return h.In.DecodeQuery(b.String(), v)
	}
	return h.In.Decode(h.In.Unwrap(b.Bytes()), v)
}

// badBody says why a body could not be read.
func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return problem.New(http.StatusBadRequest, "the body cannot be read: "+err.Error())
}

// isForm tells a form from JSON.
func isForm(contentType string) (bool, error) {
	kind := contentType
	var params map[string]string
	if kind != "application/json" && kind != "application/x-www-form-urlencoded" {
		kind, params, _ = mime.ParseMediaType(contentType)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return false, problem.New(http.StatusUnsupportedMediaType, "the charset must be utf-8")
	}
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return false, nil
	case kind == "application/x-www-form-urlencoded":
		return true, nil
	case contentType == "":
		return false, problem.New(http.StatusUnsupportedMediaType, "there is a body without a Content-Type; want application/json or application/x-www-form-urlencoded")
	}
	return false, problem.New(http.StatusUnsupportedMediaType, "want application/json or application/x-www-form-urlencoded")
}

// unpacked returns the body, bounded as it is sent and as it is unpacked.
func (d *door) unpacked(r *http.Request) (io.Reader, error) {
	body := http.MaxBytesReader(nil, r.Body, d.opts.MaxBody)
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, badBody(err)
		}
		return http.MaxBytesReader(nil, z, d.opts.MaxBody), nil
	}
	return nil, problem.New(http.StatusUnsupportedMediaType, "the body is encoded by other than gzip")
}
