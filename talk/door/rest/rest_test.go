package rest_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/rest"
)

type Note struct {
	Title string `required:"true" maxLength:"100"`
	Text  string
	Done  bool
	Tags  []string
	By    Author
}

type Author struct{ Name string }

// client asks one server.
type client struct {
	t   testing.TB
	url string
}

// plain leaves answers as they were sent: packed.
var plain = &http.Transport{DisableCompression: true}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c client) ask(method, path, body string, header ...string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := plain.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

// want checks an answer's status, and that its body or header has the texts.
func (c client) want(a answer, status int, texts ...string) answer {
	c.t.Helper()
	var header strings.Builder
	a.header.Write(&header)
	for _, text := range texts {
		if !strings.Contains(a.body, text) && !strings.Contains(header.String(), text) {
			c.t.Errorf("want %q in %s\n%s", text, header.String(), a.body)
		}
	}
	if a.status != status {
		c.t.Errorf("got %d, want %d: %s", a.status, status, a.body)
	}
	if a.status >= 400 && (a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Etag") != "") {
		c.t.Errorf("%d with %v", a.status, a.header)
	}
	return a
}

const asJSON = "application/json"

func (c client) put(path, body string, header ...string) answer {
	c.t.Helper()
	return c.ask("PUT", path, body, append([]string{"Content-Type", asJSON}, header...)...)
}

func serve(t testing.TB, s collection.Store[Note], opts *rest.Options) client {
	t.Helper()
	r, err := rest.New("notes", s, opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(plain.CloseIdleConnections)
	return client{t, server.URL}
}

func fresh(t testing.TB) client { return serve(t, new(collection.Memory[Note]), nil) }

func TestResource_IsReadAndChangedByMethods(t *testing.T) {
	c := fresh(t)
	c.want(c.ask("GET", "/notes/milk", ""), 404, `"kind":"not found"`)
	made := c.want(c.put("/notes/milk", `{"title":"Milk"}`), 201, "Location: /notes/milk", "Content-Location: /notes/milk", "Vary: Accept")
	const item = `{"title":"Milk","text":"","done":false,"tags":[],"by":{"name":""}}` + "\n"
	got := c.want(c.ask("GET", "/notes/milk", ""), 200, "Cache-Control: no-cache", "Last-Modified: ", "X-Content-Type-Options: nosniff")
	if got.body != item || made.body != item || got.header.Get("Etag") != made.header.Get("Etag") || got.header.Get("Content-Type") != asJSON {
		t.Errorf("got %v, made %v", got, made)
	}
	head := c.want(c.ask("HEAD", "/notes/milk", ""), 200)
	if head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(item)) || head.header.Get("Etag") != made.header.Get("Etag") {
		t.Errorf("HEAD: %v", head)
	}
	replaced := c.want(c.put("/notes/milk", `{"title":"Bread","done":true}`), 200, `"done":true`)
	if replaced.header.Get("Etag") == made.header.Get("Etag") || replaced.header.Get("Location") != "" {
		t.Errorf("%v", replaced.header)
	}
	c.want(c.ask("PATCH", "/notes/milk", `{}`, "Content-Type", "application/json"), 200) // as many clients call it
	c.want(c.ask("PATCH", "/notes/milk", `{"tags":["a"],"done":null,"by":{"name":"me"}}`, "Content-Type", "application/merge-patch+json"), 200,
		`{"title":"Bread","text":"","done":false,"tags":["a"],"by":{"name":"me"}}`)
	if gone := c.want(c.ask("DELETE", "/notes/milk", ""), 204); gone.body != "" {
		t.Errorf("got %s", gone.body)
	}
	c.want(c.ask("DELETE", "/notes/milk", ""), 404)
	c.want(c.ask("PATCH", "/notes/milk", `{}`, "Content-Type", "application/merge-patch+json"), 404)

	posted := c.want(c.ask("POST", "/notes", `{"title":"New"}`, "Content-Type", asJSON), 201, `"title":"New"`)
	at := posted.header.Get("Location")
	if !regexp.MustCompile(`^/notes/[0-9a-v]{26}$`).MatchString(at) {
		t.Errorf("it is at %s", at)
	}
	c.want(c.ask("GET", at, ""), 200, `"title":"New"`)
	c.want(c.put("/notes/a%20b%3F", `{"title":"odd"}`, "Prefer", "respond-async, Return=minimal"), 201, "Location: /notes/a%20b%3F", "Preference-Applied: return=minimal")
	if a := c.want(c.put("/notes/a%20b%3F", `{"title":"odd"}`, "Prefer", "return=minimal"), 204, "Etag: "); a.body != "" {
		t.Errorf("got %s", a.body)
	}
	c.want(c.ask("OPTIONS", "/notes/milk", ""), 204, "Allow: GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "Accept-Patch: application/merge-patch+json, application/json")
	c.want(c.ask("OPTIONS", "/notes", ""), 204, "Allow: GET, HEAD, POST, OPTIONS", "Accept-Post: application/json")
	c.want(c.ask("GET", "/notes/?limit=2", ""), 308, "Location: /notes?limit=2")
}

func TestResource_ConditionsAreCompareAndSwap(t *testing.T) {
	c := fresh(t)
	first := c.want(c.put("/notes/a", `{"title":"1"}`, "If-None-Match", "*"), 201).header.Get("Etag")
	c.want(c.put("/notes/a", `{"title":"x"}`, "If-None-Match", "*"), 412, `"kind":"conflict"`)
	second := c.want(c.put("/notes/a", `{"title":"2"}`, "If-Match", first), 200).header.Get("Etag")
	for _, header := range [][]string{
		{"If-Match", first}, {"If-Match", "W/" + second}, {"If-Match", `"x"`}, {"If-Match", ""}, {"If-None-Match", second}, {"If-None-Match", "W/" + second},
		{"If-None-Match", `"x", ` + second}, {"If-Match", first, "If-Match", `"y"`}, {"If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
	} {
		c.want(c.put("/notes/a", `{"title":"x"}`, header...), 412)
		c.want(c.ask("DELETE", "/notes/a", "", header...), 412)
		c.want(c.ask("PATCH", "/notes/a", `{"title":"x"}`, append(header, "Content-Type", "application/merge-patch+json")...), 412)
	}
	for _, bad := range []string{"x", `"x`, `"a" b`, "W/", `W/x`, "7.json"} {
		c.want(c.put("/notes/a", `{"title":"x"}`, "If-Match", bad), 400, "If-Match must be ETags with their quotes")
		c.want(c.ask("GET", "/notes/a", "", "If-None-Match", bad), 400)
	}
	c.want(c.ask("GET", "/notes/a", ""), 200, `"title":"2"`)
	inXML := c.ask("GET", "/notes/a", "", "Accept", "application/xml").header.Get("Etag")
	if inXML == second {
		t.Error("two representations have one ETag")
	}
	third := c.want(c.put("/notes/a", `{"title":"3"}`, "If-Match", `"x, y" ,`+inXML), 200).header.Get("Etag") // of any format
	c.want(c.put("/notes/none", `{"title":"x"}`, "If-Match", "*"), 412)
	c.want(c.put("/notes/none", `{"title":"x"}`, "If-Match", third), 412)
	c.want(c.ask("DELETE", "/notes/none", "", "If-Match", third), 404)
	c.want(c.put("/notes/a", `{"title":"4"}`, "If-Match", "*"), 200)
	c.want(c.ask("DELETE", "/notes/a", "", "If-Match", third), 412)
	c.want(c.ask("DELETE", "/notes/a", "", "If-Unmodified-Since", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), 204)
}

func TestResource_ClientsThatHaveItAreToldSo(t *testing.T) {
	c := fresh(t)
	c.put("/notes/a", `{"title":"`+strings.Repeat("long", 20)+`","text":"`+strings.Repeat("long ", 1000)+`"}`)
	got := c.ask("GET", "/notes/a", "")
	tag := got.header.Get("Etag")
	for _, header := range [][]string{
		{"If-None-Match", tag}, {"If-None-Match", "W/" + tag}, {"If-None-Match", `"x",` + tag}, {"If-None-Match", "*"},
		{"If-Modified-Since", got.header.Get("Last-Modified")}, {"If-None-Match", tag, "If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := c.want(c.ask(method, "/notes/a", "", header...), 304, "Vary: Accept", "Cache-Control: no-cache")
			if a.body != "" || a.header.Get("Etag") != tag {
				t.Errorf("%v: %v", header, a)
			}
		}
	}
	for _, header := range [][]string{
		{"If-None-Match", `"x"`}, {"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"If-Modified-Since", "yesterday"}, {"If-Match", tag},
		{"If-None-Match", `"x"`, "If-Modified-Since", got.header.Get("Last-Modified")}, {"If-None-Match", tag, "Accept", "application/cbor"},
	} {
		c.want(c.ask("GET", "/notes/a", "", header...), 200)
	}
	c.want(c.ask("GET", "/notes/a", "", "If-Match", `"x"`), 412)
	packed := c.want(c.ask("GET", "/notes/a", "", "Accept-Encoding", "gzip"), 200, "Content-Encoding: gzip", "Vary: Accept-Encoding")
	other := packed.header.Get("Etag")
	if other == tag || len(packed.body) > 1000 {
		t.Errorf("packed it is %d bytes, %s", len(packed.body), other)
	}
	c.want(c.ask("GET", "/notes/a", "", "Accept-Encoding", "gzip", "If-None-Match", other), 304)
	c.want(c.put("/notes/a", `{"title":"x"}`, "If-Match", other), 200)

	page := c.want(c.ask("GET", "/notes", ""), 200).header.Get("Etag")
	c.want(c.ask("GET", "/notes", "", "If-None-Match", page), 304)
	c.put("/notes/a", `{"title":"other"}`)
	c.want(c.ask("GET", "/notes", "", "If-None-Match", page), 200)
}

func TestResource_IsWrittenAsTheClientSays(t *testing.T) {
	c := fresh(t)
	for kind, body := range map[string]string{
		asJSON:                              `{"title":"T","tags":["a"],"by":{"name":"me"}}`,
		"application/xml":                   `<Note><title>T</title><tags><item>a</item></tags><by><name>me</name></by></Note>`,
		"application/cbor":                  "\xa3\x65title\x61T\x64tags\x81\x61a\x62by\xa1\x64name\x62me",
		"text/plain":                        "title: T\ntags: [\"a\"]\nby: {\"name\":\"me\"}",
		"application/x-www-form-urlencoded": "title=T&tags=a&by=%7B%22name%22%3A%22me%22%7D",
	} {
		c.want(c.ask("PUT", "/notes/a", body, "Content-Type", kind), 201,
			`{"title":"T","text":"","done":false,"tags":["a"],"by":{"name":"me"}}`)
		c.want(c.ask("DELETE", "/notes/a", ""), 204)
	}
	c.put("/notes/a", `{"title":"<T>","text":"two\nlines"}`)
	for accept, texts := range map[string][]string{
		"application/xml":     {"<Note><title>&lt;T&gt;</title>", "Content-Type: application/xml"},
		"application/cbor":    {"\xa5\x62by\xa1\x64name\x60", "Content-Type: application/cbor"},
		"text/plain":          {"title: <T>\ntext: \"two\\nlines\"\n", "Content-Type: text/plain; charset=utf-8"},
		"text/html, */*;q=.8": {"<th scope=\"row\">title</th><td>&lt;T&gt;</td>", "Content-Security-Policy: default-src 'none'", `href="../notes"`, "Content-Type: text/html; charset=utf-8"},
	} {
		c.want(c.ask("GET", "/notes/a", "", "Accept", accept), 200, texts...)
		c.want(c.ask("PUT", "/notes/a", `{"title":"<T>","text":"two\nlines"}`, "Accept", accept, "Content-Type", asJSON), 200, texts...)
	}
	for accept, texts := range map[string][]string{
		asJSON:             {`{"items":[{"id":"a","etag":"\"`, `.json\"","modified":"`, `"value":{"title":"<T>"`},
		"application/xml":  {"<PageNote><items><item><id>a</id><etag>", ".xml&#34;</etag>"},
		"application/cbor": {"\xa1\x65items\x81\xa4\x62id\x61a"},
		"text/plain":       {"a\t{\"title\":\"<T>\""},
		"text/html":        {`<a href="notes/a">a</a>`, "<td>&lt;T&gt;</td>"},
	} {
		c.want(c.ask("GET", "/notes", "", "Accept", accept), 200, texts...)
	}
	c.want(c.ask("GET", "/notes/a", "", "Accept", "image/png"), 406, "there is application/json, application/xml, application/cbor, text/plain and text/html")
	c.want(c.put("/notes/b", `{"title":"x"}`, "Accept", "image/png"), 406)
	c.want(c.ask("GET", "/notes/b", ""), 404)
}

func TestResource_SaysWhatIsWrong(t *testing.T) {
	c := serve(t, new(collection.Memory[Note]), &rest.Options{MaxBody: 1000, RequireMatch: true})
	tag := c.put("/notes/a", `{"title":"T"}`).header.Get("Etag")
	const patch = "application/merge-patch+json"
	for _, w := range []struct {
		method, path, kind, body string
		status                   int
		text                     string
	}{
		{"GET", "/notes/a/b", "", "", 404, "there is /notes and /notes/ID"},
		{"GET", "/notesa", "", "", 404, ""},
		{"GET", "/notes/..", "", "", 400, "must not be"},
		{"PUT", "/notes/a%2Fb", asJSON, `{"title":"x"}`, 400, "must not be"},
		{"PUT", "/notes/%FF", asJSON, `{"title":"x"}`, 400, "it is not UTF-8"},
		{"PUT", "/notes/" + strings.Repeat("x", 201), asJSON, `{"title":"x"}`, 400, "more than 200 bytes"},
		{"POST", "/notes/a", asJSON, `{}`, 405, "Allow: GET, HEAD, PUT, PATCH, DELETE, OPTIONS"},
		{"PUT", "/notes", asJSON, `{}`, 405, "Allow: GET, HEAD, POST, OPTIONS"},
		{"TRACE", "/notes/a", "", "", 405, ""},
		{"POST", "/notes", asJSON, `{`, 400, "the JSON ends too early"},
		{"POST", "/notes", asJSON, `{"title":1,"no":2}`, 400, `"path":"title"`},
		{"POST", "/notes", asJSON, `{}`, 422, "title: it is required"},
		{"POST", "/notes", "image/png", `x`, 415, "Accept: application/json, application/xml, application/cbor, text/plain, application/x-www-form-urlencoded"},
		{"POST", "/notes", "", `x`, 415, "without a Content-Type"},
		{"POST", "/notes", asJSON, `{"title":"` + strings.Repeat("x", 1000) + `"}`, 413, "larger than 1000 bytes"},
		{"PUT", "/notes/a", asJSON, `{"title":"x"}`, 428, "If-Match"},
		{"DELETE", "/notes/a", "", "", 428, "If-Match"},
		{"PATCH", "/notes/a", patch, `{}`, 428, "If-Match"},
		{"PATCH", "/notes/a", "application/json-patch+json", `[]`, 415, "Accept-Patch: application/merge-patch+json, application/json"},
		{"PATCH", "/notes/a", patch, `{`, 400, "the patch is not JSON"},
		{"PATCH", "/notes/a", patch, `{"a":1,"a":2}`, 400, "the patch is not JSON: "},
		{"PATCH", "/notes/a", patch, `{} {}`, 400, "something follows the patch"},
	} {
		c.want(c.ask(w.method, w.path, w.body, "Content-Type", w.kind), w.status, w.text)
	}
	for body, status := range map[string]int{`{"title":null}`: 422, `{"no":1}`: 400, `[]`: 400, `{"by":{"name":{"deep":1}}}`: 400, `{"tags":` + strings.Repeat(`{"a":`, 110) + "1" + strings.Repeat("}", 111): 400} {
		c.want(c.ask("PATCH", "/notes/a", body, "Content-Type", patch, "If-Match", tag), status)
	}
	if now := c.ask("GET", "/notes/a", "").header.Get("Etag"); now != tag {
		t.Error("what was refused has changed it")
	}
	c.want(c.put("/notes/a", `{"title":"x"}`, "If-Match", tag), 200)
}

func TestResource_OtherOrigins(t *testing.T) {
	c := serve(t, new(collection.Memory[Note]), &rest.Options{Origins: []string{"https://example.org"}})
	forged := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Content-Type", "text/plain"}
	c.want(c.ask("POST", "/notes", "title: x", forged...), 403, "a web page of another origin")
	c.want(c.ask("GET", "/notes", "", forged...), 200, `{"items":[]}`)
	c.want(c.put("/notes/a", `{"title":"x"}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://example.org"), 201,
		"Access-Control-Allow-Origin: https://example.org", "Access-Control-Expose-Headers: ETag, Link, Location, X-Request-Id, Retry-After")
	c.want(c.ask("OPTIONS", "/notes/a", "", "Origin", "https://example.org", "Access-Control-Request-Method", "PUT"), 204,
		"Access-Control-Allow-Methods: GET, HEAD, PUT, PATCH, DELETE, OPTIONS, POST", "If-Match")
}

// broken is a store that fails.
type broken struct {
	collection.Memory[Note]
	fail func(ctx context.Context) error
}

func (b *broken) Get(ctx context.Context, id string) (collection.Item[Note], error) {
	return collection.Item[Note]{}, b.fail(ctx)
}

func TestResource_AStoreThatFailsFailsItsRequestAlone(t *testing.T) {
	s := &broken{}
	var out bytes.Buffer
	c := serve(t, s, &rest.Options{Timeout: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	for _, w := range []struct {
		status int
		text   string
		fail   func(context.Context) error
	}{
		{500, "the store panicked", func(context.Context) error { panic("oh no") }},
		{500, "the store ended its goroutine", func(context.Context) error { runtime.Goexit(); return nil }},
		{502, "it is gone", func(context.Context) error { return fault.Text(fault.Lost, "ask", "the database", "it is gone") }},
		{504, "deadline", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{500, "EOF", func(context.Context) error { return io.ErrUnexpectedEOF }},
	} {
		s.fail = w.fail
		out.Reset()
		c.want(c.ask("GET", "/notes/a", ""), w.status, w.text)
		if strings.Contains(out.String(), "resource=notes") != (w.status == 500) { // a kind that the store chose is an answer
			t.Errorf("%s: it logs %q", w.text, out.String())
		}
		c.want(c.put("/notes/a", `{"title":"x"}`), w.status, w.text)
		c.want(c.ask("GET", "/notes", ""), 200)
	}
}

// rival changes an item each time before somebody else can, so many times.
type rival struct {
	collection.Memory[Note]
	times int
}

func (s *rival) Swap(ctx context.Context, id string, value *Note, revision string) (collection.Item[Note], error) {
	if s.times > 0 {
		s.times--
		now, _ := s.Memory.Get(ctx, id) // none: the rival makes it
		now.Value.Title += "r"
		if _, err := s.Memory.Swap(ctx, id, &now.Value, now.Revision); err != nil {
			return now, err
		}
	}
	return s.Memory.Swap(ctx, id, value, revision)
}

func TestResource_WhoIsTooLateLooksAgain(t *testing.T) {
	s := &rival{}
	c := serve(t, s, nil)
	s.times = 1
	c.want(c.put("/notes/a", `{"title":"T"}`, "If-None-Match", "*"), 412)
	s.times = 1
	c.want(c.put("/notes/b", `{"title":"T"}`), 200, `{"title":"T"`) // somebody else made it
	tag := c.want(c.put("/notes/b", `{"title":"T"}`), 200).header.Get("Etag")
	s.times = 1
	c.want(c.put("/notes/b", `{"title":"T"}`, "If-Match", tag), 412)
	s.times = 3
	c.want(c.ask("PATCH", "/notes/b", `{"done":true}`, "Content-Type", "application/merge-patch+json"), 200, `{"title":"Trrrr","text":"","done":true`)
	s.times = 1000
	c.want(c.put("/notes/b", `{"title":"T"}`), 503, "Retry-After: 1", "others were faster")
	s.times = 3
	c.want(c.ask("DELETE", "/notes/b", ""), 204)
}

func TestNew_RefusesWhatIsNoResource(t *testing.T) {
	for want, err := range map[string]error{
		"a name is letters":              second(rest.New("a/b", new(collection.Memory[Note]), nil)),
		"it has no store":                second(rest.New[Note]("a", nil, nil)),
		"an item is a struct, not a int": second(rest.New("a", new(collection.Memory[int]), nil)),
		"cannot be part of a message":    second(rest.New("a", new(collection.Memory[struct{ C chan int }]), nil)),
	} {
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNewID_KeepsTheOrderOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := ""
		for range 100 {
			id := rest.NewID()
			if id <= last || len(id) != 26 || collection.CheckID(id) != nil {
				t.Errorf("%s, then %s", last, id)
			}
			last = id
			time.Sleep(time.Millisecond)
		}
	})
}
