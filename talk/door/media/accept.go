package media

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/universal-server/become/talk/door/problem"
)

// Choose is the format that a client wants, by its header's Accept (RFC 9110, 12.5.1): the one with the highest quality, and the first of
// several. Parameters other than q make no difference. The error is a problem, 406.
func Choose(accept []string, offers []*Format) (*Format, error) {
	if len(accept) == 0 {
		return offers[0], nil
	}
	ranges := parse(accept)
	if len(ranges) == 0 {
		return offers[0], nil
	}
	var best *Format
	most := 0.0
	for _, f := range offers {
		if q := quality(ranges, f.essence()); q > most {
			best, most = f, q
		}
	}
	if best == nil {
		return nil, problem.New(http.StatusNotAcceptable, "there is "+list(offers, " and "))
	}
	return best, nil
}

// wanted is an element of Accept or Accept-Encoding.
type wanted struct {
	name    string
	quality float64
}

// parse reads the elements of a header's field. One whose quality is none is passed over.
func parse(fields []string) (all []wanted) {
	for _, field := range fields {
		for element := range strings.SplitSeq(field, ",") {
			name, params, _ := strings.Cut(element, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "*" {
				name = "*/*" // as old clients say it
			}
			q, ok := qualityOf(params)
			if name != "" && ok {
				all = append(all, wanted{name, q})
			}
		}
	}
	return all
}

func qualityOf(params string) (q float64, ok bool) {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return q, err == nil && q >= 0 && q <= 1
		}
	}
	return 1, true
}

// quality is that of the range that fits best.
func quality(ranges []wanted, kind string) float64 {
	major, _, _ := strings.Cut(kind, "/")
	q, exact := 0.0, 0
	for _, r := range ranges {
		fits := 0
		switch r.name {
		case kind:
			fits = 3
		case major + "/*":
			fits = 2
		case "*/*":
			fits = 1
		}
		if fits > exact {
			q, exact = r.quality, fits
		}
	}
	return q
}

// wantsGzip says whether a client takes gzip.
func wantsGzip(accept []string) bool {
	for _, a := range accept {
		if a == "gzip" || a == "gzip, deflate, br" || a == "gzip, deflate, br, zstd" { // nearly all
			return true
		}
	}
	for _, w := range parse(accept) {
		if w.name == "gzip" || w.name == "x-gzip" {
			return w.quality > 0
		}
	}
	return false
}
