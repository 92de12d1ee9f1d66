package static

import (
	"strconv"
	"strings"
)

// encoding is a form that a file may be stored in beside itself.
type encoding struct {
	index  int    // in encodings
	name   string // in HTTP
	suffix string // of the file
	header []string
}

// encodings are in the order of preference among equal weights.
var encodings = [...]*encoding{
	{0, "zstd", ".zst", []string{"zstd"}},
	{1, "gzip", ".gz", []string{"gzip"}},
}

// accepted returns the encodings that a client takes, the best first, but for those that it likes
// less than the file as it is.
func accepted(header []string) []*encoding {
	if len(header) == 0 {
		return nil
	}
	weights := map[string]float64{}
	for _, h := range header {
		for part := range strings.SplitSeq(h, ",") {
			name, q := weight(part)
			weights[name] = q
		}
	}
	identity := weights["identity"] // unnamed it is the last choice
	var best []*encoding
	var bestQ float64
	for _, e := range encodings {
		q, named := weights[e.name]
		if !named && e.name == "gzip" {
			q, named = weights["x-gzip"]
		}
		if !named {
			q = weights["*"]
		}
		switch {
		case q <= 0 || q < identity:
		case q > bestQ:
			best, bestQ = append([]*encoding{e}, best...), q
		default:
			best = append(best, e)
		}
	}
	return best
}

// weight reads "gzip;q=0.5". A weight that cannot be read is 0: the encoding is not used.
func weight(part string) (name string, q float64) {
	name, parameters, _ := strings.Cut(part, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(key), "q") {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(f >= 0 && f <= 1) {
				f = 0
			}
			q = f
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), q
}
