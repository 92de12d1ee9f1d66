package media

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/universal-server/become/talk/door/problem"
)

// Body is a request's body, unpacked. Reading more than most bytes of it, as it comes or as it is unpacked, is an
// error, *http.MaxBytesError. The error of Body itself is a problem: 400, or 415 for another coding than gzip.
func Body(r *http.Request, most int64) (io.Reader, error) {
	body := http.MaxBytesReader(nil, r.Body, most)
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, Broken(err)
		}
		return http.MaxBytesReader(nil, z, most), nil
	}
	return nil, problem.New(http.StatusUnsupportedMediaType, "the body is encoded by other than gzip").With("Accept-Encoding", "gzip")
}

// Broken says why a body could not be read: that it is too large, or a problem, 400.
func Broken(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return problem.New(http.StatusBadRequest, "the body cannot be read: "+err.Error())
}

// packFrom is the size from which an answer is worth packing: more than one segment. Python's server for XML-RPC has the same.
const packFrom = 1400

// Packs says whether Write will pack a body of that length.
func Packs(r *http.Request, length int) bool {
	return length >= packFrom && wantsGzip(r.Header["Accept-Encoding"])
}

// fields are the values of Content-Type that are written most: nobody changes a header's values in place.
var fields = map[string][]string{JSON.Type: {JSON.Type}, "text/xml": {"text/xml"}}

func typeField(kind string) []string {
	if f := fields[kind]; f != nil {
		return f
	}
	return []string{kind}
}

// Write answers with a body, packed if it is long and the client takes that. A client asking by HEAD gets the header alone.
func Write(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	h := w.Header()
	h["Content-Type"] = typeField(kind)
	if len(body) >= packFrom {
		h.Add("Vary", "Accept-Encoding")
		if Packs(r, len(body)) {
			h.Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			z := gzip.NewWriter(w)
			z.Write(body)
			z.Close()
			return
		}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}
