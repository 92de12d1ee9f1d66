package static

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// ranged returns a request of which http.ServeContent may take the Range at its word. RFC 9110, section 14, has that of
// another method than GET ignored, and that in other units than bytes; of an empty file no range can be named in an answer.
// "-0", the last no bytes, can never be had, and is written as a range behind the end.
func ranged(r *http.Request, size int64) *http.Request {
	asked := r.Header.Get("Range")
	if asked == "" {
		return r
	}
	unit, specs, _ := strings.Cut(asked, "=")
	meant := ""
	if r.Method == http.MethodGet && size > 0 && strings.EqualFold(unit, "bytes") {
		meant = "bytes=" + withoutZero(specs, size)
	}
	if meant == asked {
		return r
	}
	r = r.WithContext(r.Context()) // a copy, of which the header is copied too
	r.Header = maps.Clone(r.Header)
	if r.Header.Del("Range"); meant != "" {
		r.Header.Set("Range", meant)
	}
	return r
}

// withoutZero replaces the suffixes that have no bytes.
func withoutZero(specs string, size int64) string {
	all := strings.Split(specs, ",")
	for i, spec := range all {
		if zeros, ok := strings.CutPrefix(strings.TrimSpace(spec), "-"); ok && zeros != "" && strings.Trim(zeros, "0") == "" {
			all[i] = fmt.Sprintf("%d-", size)
		}
	}
	return strings.Join(all, ",")
}
