package media_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/universal-server/become/talk/door/media"
	"github.com/universal-server/become/talk/door/problem"
)

var offers = []*media.Format{media.JSON, media.XML, media.CBOR, media.Plain}

func TestChoose_TakesTheHighestQuality(t *testing.T) {
	for accept, want := range map[string]string{
		"": "json", "*/*": "json", "*": "json", " ": "json", "application/xml": "xml", "APPLICATION/CBOR": "cbor", "text/*": "text",
		"application/json;q=0.5, application/xml;q=0.9": "xml", "application/xml;q=0.5, application/json;q=0.5": "json",
		"*/*;q=0.1, text/plain;q=.2": "text", "application/*;q=0.5, application/json;q=0.4, application/xml;q=0": "cbor",
		"application/json;profile=plain;q=1.0": "json", "text/html, text/plain ; q=0.3": "text",
		"application/json;q=2, application/xml;q=x":                                  "json", // none of them counts
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8": "xml",
	} {
		if f, err := media.Choose([]string{accept}, offers); err != nil || f.Name != want {
			t.Errorf("%s: got %v, %v, want %s", accept, f, err, want)
		}
	}
	if f, err := media.Choose([]string{"image/png", "text/plain"}, offers); err != nil || f != media.Plain {
		t.Errorf("two fields: got %v, %v", f, err)
	}
	for _, accept := range []string{"image/png", "*/*;q=0", "application/json;q=0", "text/html"} {
		_, err := media.Choose([]string{accept}, offers)
		if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != 406 || p.Detail != "there is application/json, application/xml, application/cbor and text/plain" {
			t.Errorf("%s: got %v", accept, err)
		}
	}
}

func TestSent_KnowsWhatItTakes(t *testing.T) {
	for kind, want := range map[string]string{
		"application/json": "json", "application/json; charset=UTF-8": "json", "Application/JSON": "json", "application/vnd.note+json": "json",
		"text/xml": "xml", "image/svg+xml": "xml", "application/cbor": "cbor", "text/plain": "text", "text/plain;charset=us-ascii": "text",
	} {
		if f, err := media.Sent(kind, offers); err != nil || f.Name != want {
			t.Errorf("%s: got %v, %v, want %s", kind, f, err, want)
		}
	}
	for _, kind := range []string{"", "image/png", "application/json; charset=latin1", "application/x-www-form-urlencoded", "json", ";", "a/b;c"} {
		_, err := media.Sent(kind, offers)
		if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != 415 || p.Header.Get("Accept") == "" && !strings.Contains(p.Detail, "charset") {
			t.Errorf("%q: got %v", kind, err)
		}
	}
}

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

func TestBody_IsBoundedAlsoWhenItIsUnpacked(t *testing.T) {
	for _, c := range []struct {
		coding, body string
		status       int // 0: it is read
	}{
		{"", "0123456789", 0}, {"", "0123456789x", 413}, {"identity", "x", 0}, {"gzip", packed("hello")[:20], 400}, {"GZIP", "no", 400}, {"br", "x", 415},
		{"gzip", packed(strings.Repeat("x", 1<<20)), 413},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
		r.Header.Set("Content-Encoding", c.coding)
		most := int64(10)
		if c.coding == "gzip" {
			most = 1 << 19
		}
		body, err := media.Body(r, most)
		if err == nil {
			if _, err = io.ReadAll(body); err != nil {
				err = media.Broken(err)
			}
		}
		if c.status == 0 && err != nil || c.status > 0 && (err == nil || problem.Of(err).Status != c.status) {
			t.Errorf("%s %.20q: got %v, want %d", c.coding, c.body, err, c.status)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(packed("hello")))
	r.Header.Set("Content-Encoding", "gzip")
	body, err := media.Body(r, 100)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(body); err != nil || string(data) != "hello" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestWrite_PacksWhatIsLongForWhoTakesIt(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for accept, want := range map[string]bool{
		"gzip": true, "deflate, GZIP;q=0.5": true, "gzip, deflate, br": true, "": false, "gzip;q=0": false, "br": false, "identity": false, "not-gzip": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		media.Write(w, r, http.StatusAccepted, "text/plain", []byte(long))
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want || w.Code != 202 || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: packed %v, want %v; %v", accept, got, want, w.Header())
		}
		w = httptest.NewRecorder()
		if media.Write(w, r, 200, "text/plain", []byte("short")); w.Body.String() != "short" || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q: a short one: %v", accept, w.Header())
		}
	}
}

// Whatever a client says, it gets what is offered, or nothing.
func FuzzChoose(f *testing.F) {
	f.Add("text/*;q=.5, */*;q=0.1;x=\"a,b\"", "text/xml; charset=utf-8")
	f.Fuzz(func(t *testing.T, accept, kind string) {
		if got, err := media.Choose([]string{accept}, offers); (got == nil) == (err == nil) {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := media.Sent(kind, offers); (got == nil) == (err == nil) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
