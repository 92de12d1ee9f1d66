package static

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxListed is how many names of a directory are read.
const maxListed = 10_000

// list answers with the names in a directory, directories with a slash, in order.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, name string) {
	names, more, err := h.names(name)
	if err != nil {
		refuse(w, err)
		return
	}
	var b bytes.Buffer
	title := html.EscapeString(r.URL.Path)
	fmt.Fprintf(&b, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%s</h1>\n<ul>\n", title, title)
	for _, n := range names {
		// The dot: a name with a colon is no scheme, one with slashes no host.
		link := url.URL{Path: "./" + n}
		fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a>\n", html.EscapeString(link.String()), html.EscapeString(n))
	}
	b.WriteString("</ul>\n")
	if more {
		fmt.Fprintf(&b, "<p>and more than these %d\n", maxListed)
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Length", strconv.Itoa(b.Len()))
	head["X-Content-Type-Options"] = safe
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(b.Bytes())
	}
}

// names returns what of a directory may be asked for.
func (h *Handler) names(dir string) (names []string, more bool, err error) {
	f, err := h.root.Open(dir)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxListed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	more = len(entries) > maxListed
	for _, e := range entries[:min(len(entries), maxListed)] {
		switch n := e.Name(); {
		case strings.HasPrefix(n, ".") && !h.o.Dotfiles, strings.Contains(n, "\\"):
		case e.IsDir():
			names = append(names, n+"/")
		case e.Type().IsRegular(), e.Type()&fs.ModeSymlink != 0:
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names, more, nil
}
