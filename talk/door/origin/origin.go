package origin

import (
	"net/http"
	"slices"
)

// Policy says what pages of other origins may do. The zero value: nothing.
type Policy struct {
	// Origins may call; "*" is any.
	Origins []string
	// Methods and Headers may be used by them, Expose are the fields of an answer's header that they may read; each as in a header.
	Methods, Headers, Expose string
}

// Allow tells the browser that asks, if any, what the page may do.
func (p *Policy) Allow(w http.ResponseWriter, r *http.Request) {
	if p.Origins == nil {
		return
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	allowed := p.allowed(r.Header.Get("Origin"))
	if allowed == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	if r.Method != http.MethodOptions {
		if p.Expose != "" {
			h.Set("Access-Control-Expose-Headers", p.Expose)
		}
		return
	}
	h.Set("Access-Control-Allow-Methods", p.Methods)
	h.Set("Access-Control-Allow-Headers", p.Headers)
	h.Set("Access-Control-Max-Age", "600")
}

// allowed is what to answer an origin; empty: it is not allowed.
func (p *Policy) allowed(origin string) string {
	switch {
	case origin == "":
		return ""
	case slices.Contains(p.Origins, "*"):
		return "*"
	case slices.Contains(p.Origins, origin):
		return origin
	}
	return ""
}

// Forged says whether a browser sends a request that changes something for a page of another origin that is not allowed:
// a form, or what else it does not ask about beforehand.
func (p *Policy) Forged(r *http.Request) bool {
	if p.allowed(r.Header.Get("Origin")) != "" {
		return false
	}
	return guard.Check(r) != nil
}

// guard allows no origin but the server's own.
var guard = http.NewCrossOriginProtection()

// Uninvited is Forged for a door at which GET may change something too: it is true as well of a GET that a page of another origin
// sends by itself, for a picture or a script, unless that may call. A link that a user follows is not the page's.
func (p *Policy) Uninvited(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return p.Forged(r)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // no browser, or an old one; its own page; the user, by hand
		return false
	}
	followed := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-User") == "?1"
	// A page that asks for a picture does not say who it is.
	return !followed && !slices.Contains(p.Origins, "*") && p.allowed(r.Header.Get("Origin")) == ""
}
