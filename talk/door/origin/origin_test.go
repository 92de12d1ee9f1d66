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

func TestPolicy_KnowsUninvitedRequests(t *testing.T) {
	for _, c := range []struct {
		origins                        []string
		method, site, mode, user, from string
		want                           bool
	}{
		{nil, "GET", "", "", "", "", false}, // no browser
		{nil, "GET", "none", "navigate", "?1", "", false},
		{nil, "GET", "same-origin", "cors", "", "", false},
		{nil, "GET", "cross-site", "no-cors", "", "", true},
		{nil, "HEAD", "same-site", "cors", "", "https://evil.example", true},
		{nil, "GET", "cross-site", "navigate", "?1", "", false}, // a link
		{nil, "GET", "cross-site", "navigate", "", "", true},    // a form that sends itself
		{nil, "GET", "cross-site", "no-cors", "?1", "", true},
		{[]string{"https://example.org"}, "GET", "cross-site", "cors", "", "https://example.org", false},
		{[]string{"https://example.org"}, "GET", "cross-site", "cors", "", "https://evil.example", true},
		{[]string{"*"}, "GET", "cross-site", "no-cors", "", "", false},
		{nil, "POST", "cross-site", "navigate", "?1", "https://evil.example", true}, // a button
		{nil, "POST", "same-origin", "cors", "", "", false},
	} {
		p := origin.Policy{Origins: c.origins}
		r := httptest.NewRequest(c.method, "http://example.com/", nil)
		for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-User": c.user, "Origin": c.from} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := p.Uninvited(r); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
