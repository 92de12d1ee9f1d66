package static

import (
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// fileName returns which file a URL's path names, in the system's form and relative to the
// root; directory says that it ended in a slash. Names that may not be asked for are
// not ok: what is refused here never reaches the disk.
func (h *Handler) fileName(urlPath string) (name string, directory, ok bool) {
	rest, ok := strings.CutPrefix(urlPath, "/")
	if !ok {
		return "", false, false
	}
	if rest == "" {
		return ".", true, true
	}
	rest, directory = strings.CutSuffix(rest, "/")
	// No "", "." and ".." among the elements.
	if rest == "." || !fs.ValidPath(rest) || strings.ContainsAny(rest, "\\\x00") {
		return "", false, false
	}
	if !h.o.Dotfiles && dotted(rest) {
		return "", false, false
	}
	// Nothing that means more than a name to this system: C:, NUL.
	name, err := filepath.Localize(rest)
	return name, directory, err == nil
}

// dotted reports whether an element begins with a dot. /.well-known (RFC 8615) does not count.
func dotted(name string) bool {
	for i, element := range strings.Split(name, "/") {
		if element[0] == '.' && (i > 0 || element != ".well-known") {
			return true
		}
	}
	return false
}

// redirect sends the client to the same name with or without the slash at its end.
// The target is relative and one name: it cannot lead to another host.
func redirect(w http.ResponseWriter, r *http.Request, directory bool) {
	to := url.URL{Path: "./" + path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	if !directory {
		to.Path = "../" + path.Base(r.URL.Path)
	}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusMovedPermanently)
}
