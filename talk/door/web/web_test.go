package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/web"
)

type (
	Multiply struct{ X, Y float64 }
	Divide   struct{ X, Y float64 }
	Square   struct {
		X big.Int `required:"true"`
	}
	Limited struct {
		N int `minimum:"1" maximum:"10"`
	}
	Fail  struct{ How string }
	Sleep struct{ For time.Duration }
	Pick  struct{ Other bool }
	Value struct{ Value string }

	Output struct{ Value float64 }
	Whole  struct{ Value big.Int }
	Other  struct{ Text string }
)

func handle[In, Out any](t testing.TB, f func(context.Context, In) (Out, error), opts *api.HandlerOptions) *api.Handler {
	h, err := api.Handle(f, opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// crunch is an API of the seed's requests, and of some that go wrong.
func crunch(t testing.TB, release chan struct{}) *api.API {
	a, err := api.New("crunch", []*api.Handler{
		handle(t, func(_ context.Context, m Multiply) (Output, error) { return Output{m.X * m.Y}, nil }, nil),
		handle(t, func(_ context.Context, m Divide) (Output, error) { return Output{m.X / m.Y}, nil }, nil),
		handle(t, func(_ context.Context, m Square) (w Whole, _ error) { w.Value.Mul(&m.X, &m.X); return w, nil }, nil),
		handle(t, func(_ context.Context, m Limited) (Output, error) { return Output{float64(m.N)}, nil }, nil),
		handle(t, func(_ context.Context, m Value) (Value, error) { return m, nil }, nil),
		handle(t, fail, nil),
		handle(t, func(ctx context.Context, m Sleep) (Output, error) {
			if m.For < 0 {
				<-release // and never mind the context
				return Output{}, nil
			}
			select {
			case <-time.After(m.For):
				return Output{1}, nil
			case <-ctx.Done():
				return Output{}, ctx.Err()
			}
		}, &api.HandlerOptions{Timeout: 100 * time.Millisecond}),
		handle(t, func(_ context.Context, m Pick) (any, error) {
			if m.Other {
				return Other{strings.Repeat("long ", 1000)}, nil
			}
			return Output{1}, nil
		}, &api.HandlerOptions{Replies: []any{Output{}, Other{}}}),
	}, &api.Options{MaxRequests: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fail(_ context.Context, m Fail) (Output, error) {
	switch m.How {
	case "panic":
		panic("oh no")
	case "exit":
		runtime.Goexit()
	case "plain":
		return Output{}, errors.New("it broke")
	}
	return Output{}, fault.Text(fault.ParseKind(m.How), "do", "it", "it cannot be")
}

func start(t testing.TB, opts *web.Options) *httptest.Server {
	release := make(chan struct{})
	s := httptest.NewServer(web.New(crunch(t, release), opts))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	return s
}

// ask sends a request and returns the answer and its body, unpacked.
func ask(t testing.TB, s *httptest.Server, method, path, kind, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(data)
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

func TestDoor_AnswersHoweverTheMessageComes(t *testing.T) {
	s := start(t, nil)
	const want = `{"value":["crunch.Output",{"value":3.375},[]]}` + "\n"
	for _, c := range []struct{ method, path, kind, body string }{
		{"GET", "/Multiply?x=1.5&y=2.25", "", ""},
		{"GET", "/api/v1/Multiply?x=1.5&y=2.25", "", ""},
		{"POST", "/Multiply", asJSON, `{"x":1.5,"y":2.25}`},
		{"POST", "/Multiply", asJSON, `{"value":{"x":1.5,"y":2.25}}`},
		{"POST", "/Multiply", asJSON, ` {"value" : {"x":1.5,"y":2.25}, "version": "1.0", "pointer":[]}`},
		{"POST", "/Multiply", "Application/JSON; charset=UTF-8", `{"x":1.5,"y":2.25}`},
		{"POST", "/Multiply", "application/merge+json", `{"x":1.5,"y":2.25}`},
		{"POST", "/Multiply", asForm, "x=1.5&y=2.25"},
		{"POST", "/Multiply", asForm + "; charset=utf-8", "x=1.5&y=2.25"},
		{"POST", "/Multiply?x=1.5&y=2.25", "", ""},
	} {
		res, body := ask(t, s, c.method, c.path, c.kind, c.body)
		if res.StatusCode != 200 || body != want || res.Header.Get("Content-Type") != asJSON {
			t.Errorf("%+v: got %d %s", c, res.StatusCode, body)
		}
	}
	if res, body := ask(t, s, "HEAD", "/Multiply?x=1.5&y=2.25", "", ""); res.StatusCode != 200 || body != "" || res.ContentLength != int64(len(want)) {
		t.Errorf("HEAD: got %d, %d bytes of %d", res.StatusCode, len(body), res.ContentLength)
	}
	if _, body := ask(t, s, "GET", "/Divide?x=1.5&y=2.25", "", "", "Accept", "application/json; profile=plain"); body != `{"value":0.6666666666666666}`+"\n" {
		t.Errorf("plain: got %s", body)
	}
	if _, body := ask(t, s, "GET", "/Square?x=123456789012345678901234567890", "", ""); !strings.Contains(body, "15241578753238836750495351562536198787501905199875019052100") {
		t.Errorf("a large number: got %s", body)
	}
	// A message with a field of that name is its own envelope.
	if _, body := ask(t, s, "POST", "/Value", asJSON, `{"value":"x"}`); body != `{"value":["crunch.Value",{"value":"x"},[]]}`+"\n" {
		t.Errorf("got %s", body)
	}
	if _, body := ask(t, s, "GET", "/Pick", "", ""); !strings.HasPrefix(body, `{"value":["crunch.Output",`) {
		t.Errorf("got %s", body)
	}
}

func TestDoor_SpeaksTheClientsFormat(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct{ kind, body, accept, answer, want string }{
		{"application/cbor", "\xa2\x61x\xf9\x3e\x00\x61y\xfb\x40\x02\x00\x00\x00\x00\x00\x00", "application/cbor", "application/cbor", "\xa1\x65value\x83\x6dcrunch.Output\xa1\x65value\xf9\x42\xc0\x80"},
		{"application/xml", "<Multiply><x>1.5</x><y>2.25</y></Multiply>", "application/cbor; profile=plain", "application/cbor; profile=plain", "\xa1\x65value\xf9\x42\xc0"},
		{"text/plain", "x: 1.5\ny: 2.25\n", "text/plain", "text/plain; charset=utf-8", "3.375\n"},
		{asJSON, `{"x":1.5,"y":2.25}`, "application/xml, application/json;q=0.5", "application/xml", `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Output><value>3.375</value></Output>\n"},
		{asJSON, `{"x":1.5,"y":2.25}`, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", asJSON, `{"value":["crunch.Output",{"value":3.375},[]]}` + "\n"},
	} {
		res, body := ask(t, s, "POST", "/Multiply", c.kind, c.body, "Accept", c.accept)
		if res.StatusCode != 200 || body != c.want || res.Header.Get("Content-Type") != c.answer || res.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: got %d %q %v, want %q", c.accept, res.StatusCode, body, res.Header, c.want)
		}
	}
	res, body := ask(t, s, "GET", "/Multiply?x=1", "", "", "Accept", "image/png")
	if res.StatusCode != 406 || !strings.Contains(body, "there is application/json, application/cbor, application/xml and text/plain") {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

func TestDoor_TakesAndGivesPackedBodies(t *testing.T) {
	s := start(t, &web.Options{MaxBody: 1000})
	pack := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	if _, body := ask(t, s, "POST", "/Multiply", asJSON, pack(`{"x":2,"y":3}`), "Content-Encoding", "gzip"); !strings.Contains(body, `"value":6`) {
		t.Errorf("got %s", body)
	}
	for _, body := range []string{pack(`{"x":2,"y":3}` + strings.Repeat(" ", 1<<20)), strings.Repeat(" ", 1001)} {
		header := []string{}
		if strings.HasPrefix(body, "\x1f") {
			header = []string{"Content-Encoding", "gzip"}
		}
		if res, text := ask(t, s, "POST", "/Multiply", asJSON, body, header...); res.StatusCode != 413 {
			t.Errorf("%d bytes: got %d %s", len(body), res.StatusCode, text)
		}
	}
	res, body := ask(t, s, "GET", "/Pick?other=true", "", "", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil || res.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal(err, res.Header)
	}
	if text, err := io.ReadAll(z); err != nil || !strings.HasPrefix(string(text), `{"value":["crunch.Other",{"text":"long `) {
		t.Errorf("got %.60s, %v", text, err)
	}
}

func TestDoor_SaysWhatIsWrong(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		{"GET", "/Nothing", "", "", 404, `there is Divide, Fail, Limited, Multiply, Pick, Sleep, Square, Value`},
		{"POST", "/", asJSON, "{}", 405, `POST is not for this`},
		{"PUT", "/Multiply", asJSON, `{}`, 405, `PUT is not`},
		{"GET", "/Multiply?z=1", "", "", 400, `z: there is no such field; there is x, y`},
		{"GET", "/Multiply?x=one", "", "", 400, `x: must be a number`},
		{"POST", "/Multiply", asJSON, `{"x":"1"}`, 400, `x: must be a number, not a text`},
		{"POST", "/Multiply", asJSON, `{"x":1`, 400, `ends too early`},
		{"POST", "/Multiply", asJSON, ``, 400, `ends too early`},
		{"POST", "/Multiply", asJSON, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 400, `must be an object`},
		{"POST", "/Multiply", "image/png", `x`, 415, `want application/json`},
		{"POST", "/Multiply", "application/json; charset=latin1", `{}`, 415, `must be utf-8`},
		{"GET", "/Multiply?x=NaN&y=1", "", "", 422, `finite`},
		{"GET", "/Multiply?x=Inf", "", "", 422, `finite`},
		{"GET", "/Limited?n=11", "", "", 422, `n: must be at most 10`},
		{"POST", "/Square", asJSON, `{}`, 422, `x: it is required`},
		{"GET", "/Divide?x=1&y=0", "", "", 422, `cannot write answer: value: +Inf is no number`},
		{"GET", "/Fail?how=plain", "", "", 500, `cannot answer Fail: it broke`},
		{"GET", "/Fail?how=panic", "", "", 500, `the handler panicked`},
		{"GET", "/Fail?how=exit", "", "", 500, `the handler ended its goroutine`},
		{"GET", "/Fail?how=not+found", "", "", 404, `cannot do it: it cannot be`},
		{"GET", "/Fail?how=conflict", "", "", 409, `it cannot be`},
		{"GET", "/Fail?how=denied", "", "", 403, `it cannot be`},
		{"GET", "/Fail?how=busy", "", "", 503, `it cannot be`},
		{"GET", "/Sleep?for=1h", "", "", 504, `cannot answer Sleep`}, // by the handler; by the door if the machine is too busy for that
		{"GET", "/Sleep?for=-1s", "", "", 504, `the handler did not answer within 100ms`},
	} {
		res, body := ask(t, s, c.method, c.path, c.kind, c.body)
		var p struct {
			Title, Detail, Kind string
			Status              int
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: %v: %s", c.method, c.path, err, body)
		}
		if res.StatusCode != c.status || p.Status != c.status || p.Title == "" || p.Kind == "" || !strings.Contains(p.Detail, c.want) || strings.Contains(p.Detail, "oh no") || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, res.StatusCode, body, c.status, c.want)
		}
		if (c.status == 405) != (res.Header.Get("Allow") != "") || (c.status == 503) != (res.Header.Get("Retry-After") != "") {
			t.Errorf("%s %s: header %v", c.method, c.path, res.Header)
		}
	}
	// None of it has hurt.
	if _, body := ask(t, s, "GET", "/Multiply?x=2&y=2", "", ""); !strings.Contains(body, `"value":4`) {
		t.Errorf("got %s", body)
	}
}

func TestDoor_DescribesTheAPI(t *testing.T) {
	s := start(t, nil)
	res, text := ask(t, s, "GET", "/", "", "")
	if res.StatusCode != 200 || !strings.Contains(text, `<form data-request="Multiply">`) || !strings.Contains(text, "crunch.Output or crunch.Other") || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %d %v %s", res.StatusCode, res.Header, text)
	}
	for _, want := range []string{`placeholder="number, 0 if empty"`, "<span>x *</span>", "* is required"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	_, text = ask(t, s, "GET", "/openapi.json", "", "")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct {
				Name     string
				Required bool
				Schema   struct{ Default any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatal(err, doc.OpenAPI)
	}
	if p := doc.Paths["/Square"]["get"].Parameters; len(p) != 1 || p[0].Name != "x" || !p[0].Required {
		t.Errorf("got %+v", p)
	}
	if p := doc.Paths["/Multiply"]["get"].Parameters; len(p) != 2 || p[0].Required || p[0].Schema.Default != 0.0 {
		t.Errorf("what a field is that is left out: got %+v", p)
	}
	if len(doc.Paths) != 8 || doc.Components.Schemas["Limited"] == nil || doc.Paths["/Multiply"]["post"].OperationID != "postMultiply" {
		t.Errorf("got %s", text)
	}
}

func TestPage_ShowsHowPartsAreWritten(t *testing.T) {
	type place struct {
		Street string
		Zip    *string
	}
	type Order struct {
		To    place
		Lines []place
		Tags  []string
		Names map[string]int
		Extra any
		Pair  [2]int
	}
	a, err := api.New("shop", []*api.Handler{handle(t, func(context.Context, Order) (Output, error) { return Output{}, nil }, nil)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	web.New(a, nil).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	text := html.UnescapeString(w.Body.String())
	for name, want := range map[string]string{
		"to": `JSON, as {"street":""}`, "lines": `JSON, as [{"street":""}]`, "tags": `JSON, as [""]`, "names": "JSON", "extra": "JSON", "pair": "JSON, as [0,0]",
	} {
		if !strings.Contains(text, `<input name="`+name+`" data-kind="json" value="" placeholder="`+want+`"`) {
			t.Errorf("%s is not shown as %s in\n%s", name, want, text)
		}
	}
}

func TestDoor_RefusesWhatIsTooMuchAtOnce(t *testing.T) {
	s := start(t, nil)
	for range 2 { // they never return, and keep their places
		if res, _ := ask(t, s, "GET", "/Sleep?for=-1s", "", ""); res.StatusCode != 504 || !res.Close {
			t.Errorf("got %d", res.StatusCode)
		}
	}
	if res, body := ask(t, s, "GET", "/Multiply", "", ""); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

func TestDoor_LetsBrowsersCallFromWhereTheyMay(t *testing.T) {
	s := start(t, &web.Options{Origins: []string{"https://good.example"}})
	res, _ := ask(t, s, "OPTIONS", "/Multiply", "", "", "Origin", "https://good.example", "Access-Control-Request-Method", "POST")
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Origin") != "https://good.example" || res.Header.Get("Access-Control-Allow-Methods") == "" ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Authorization, ") {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	if res, _ = ask(t, s, "GET", "/Multiply", "", "", "Origin", "https://good.example"); res.Header.Get("Access-Control-Expose-Headers") != "X-Request-Id, Retry-After" {
		t.Errorf("what a page may read: got %v", res.Header)
	}
	if res, _ = ask(t, s, "GET", "/Multiply", "", "", "Origin", "https://bad.example"); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %v", res.Header)
	}
	for _, c := range []struct {
		method, path, body, origin string
		status                     int
	}{
		{"POST", "/Multiply", "x=2&y=3", "https://bad.example", 403},
		{"POST", "/Multiply", "x=2&y=3", "https://good.example", 200},
		{"POST", "/Multiply", "x=2&y=3", "null", 403},
		{"GET", "/Multiply?x=2", "", "https://bad.example", 403},
		{"GET", "/Multiply?x=2", "", "https://good.example", 200},
		{"GET", "/openapi.json", "", "https://bad.example", 200}, // it calls nothing
	} {
		res, body := ask(t, s, c.method, c.path, "application/x-www-form-urlencoded", c.body, "Origin", c.origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
		if res.StatusCode != c.status || c.status == 403 && !strings.Contains(body, "another origin") {
			t.Errorf("%+v: got %d %s", c, res.StatusCode, body)
		}
	}
}

// Whatever is sent, the answer is JSON and the server lives.
func FuzzDoor(f *testing.F) {
	release := make(chan struct{})
	close(release)
	door := web.New(crunch(f, release), nil)
	f.Add("POST", "Multiply?x=1", asJSON, []byte(`{"value":{"x":1}}`))
	f.Add("GET", "Pick?other=true", "", []byte(nil))
	f.Fuzz(func(t *testing.T, method, path, kind string, body []byte) {
		r, err := http.NewRequest(method, "http://x/", bytes.NewReader(body))
		if err != nil {
			return
		}
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
		r.Header.Set("Content-Type", kind)
		if strings.HasSuffix(r.URL.Path, "Sleep") {
			return
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if p := r.URL.Path; p != "" && p != "/" && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func BenchmarkDoor(b *testing.B) {
	door := web.New(crunch(b, nil), nil)
	r := httptest.NewRequest("GET", "/Multiply?x=1.5&y=2.25", nil)
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		door.ServeHTTP(w, r)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
