package origin_test

import (
	"net/http/httptest"
	"testing"

	"github.com/universal-server/become/talk/door/origin"
)

func TestPolicy_TellsBrowsersWhatIsAllowed(t *testing.T) {
	const page = "https://example.org"
	for _, c := range []struct {
		origins      []string
		method, from string
		allow, vary  string
	}{
		{nil, "GET", page, "", ""},
		{[]string{page}, "GET", page, page, "Origin"},
		{[]string{page}, "OPTIONS", page, page, "Origin"},
		{[]string{page}, "GET", "https://evil.example", "", "Origin"},
		{[]string{page}, "GET", "", "", "Origin"},
		{[]string{"https://other.example", "*"}, "GET", page, "*", "Origin"},
	} {
		p := origin.Policy{Origins: c.origins, Methods: "GET, PUT", Headers: "If-Match", Expose: "ETag"}
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set("Origin", c.from)
		w := httptest.NewRecorder()
		p.Allow(w, r)
		h := w.Header()
		if h.Get("Access-Control-Allow-Origin") != c.allow || h.Get("Vary") != c.vary {
			t.Errorf("%+v: got %v", c, h)
		}
		asked := c.allow != "" && c.method == "OPTIONS"
		if (h.Get("Access-Control-Allow-Methods") == "GET, PUT") != asked || (h.Get("Access-Control-Allow-Headers") == "If-Match") != asked {
			t.Errorf("%+v: got %v", c, h)
		}
		if (h.Get("Access-Control-Expose-Headers") == "ETag") != (c.allow != "" && !asked) {
			t.Errorf("%+v: got %v", c, h)
		}
	}
}

func TestPolicy_KnowsForgedRequests(t *testing.T) {
	p := origin.Policy{Origins: []string{"https://example.org"}}
	for _, c := range []struct {
		method, site, from string
		forged             bool
	}{
		{"POST", "", "", false}, // no browser
		{"POST", "same-origin", "", false},
		{"POST", "cross-site", "https://evil.example", true},
		{"POST", "", "https://evil.example", true},
		{"DELETE", "same-site", "https://evil.example", true},
		{"GET", "cross-site", "https://evil.example", false},
		{"POST", "cross-site", "https://example.org", false},
		{"POST", "", "http://example.com", false}, // its own, by an old browser
		{"POST", "cross-site", "null", true},
	} {
		r := httptest.NewRequest(c.method, "http://example.com/", nil)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if c.from != "" {
			r.Header.Set("Origin", c.from)
		}
		if got := p.Forged(r); got != c.forged {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
