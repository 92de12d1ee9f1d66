package static_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/static"
)

var old = time.Now().Add(-time.Hour).Truncate(time.Second)

// tree writes files, an hour old, into a directory "public" that has a secret beside it.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	top := t.TempDir()
	put(t, filepath.Join(top, "secret.txt"), "SECRET")
	dir := filepath.Join(top, "public")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	return dir
}

func put(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
}

func handler(t testing.TB, dir string, o *static.Options) *static.Handler {
	t.Helper()
	h, err := static.New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func start(t testing.TB, dir string, o *static.Options) (base string) {
	t.Helper()
	s := httptest.NewServer(handler(t, dir, o))
	t.Cleanup(s.Close)
	return s.URL
}

// plain follows no redirect and undoes no compression.
var plain = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get asks with headers, "Name: value" each.
func get(t testing.TB, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return res, string(b)
}

func TestHandler_ServesFilesWithTheirTypes(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	base := start(t, tree(t, map[string]string{
		"index.html": "<h1>hi</h1>", "a/b/c.txt": "deep", "x.js": "1", "x.JSON": "{}", "x.wasm": "w", "x.svg": "<svg/>",
		"noext": "plain words", "page": "<!DOCTYPE html><p>", "long": long, "long.bin.gz": long, "empty.txt": "",
		"ä ö.txt": "umlaut", "q?#%.txt": "odd", ".well-known/acme": "token", "sub/index.html": "sub",
	}), nil)
	for _, test := range []struct{ path, body, typ string }{
		{"/", "<h1>hi</h1>", "text/html; charset=utf-8"},
		{"/index.html", "<h1>hi</h1>", "text/html; charset=utf-8"},
		{"/a/b/c.txt", "deep", "text/plain; charset=utf-8"},
		{"/x.js", "1", "text/javascript; charset=utf-8"},
		{"/x.JSON", "{}", "application/json"},
		{"/x.wasm", "w", "application/wasm"},
		{"/x.svg", "<svg/>", "image/svg+xml"},
		{"/noext", "plain words", "text/plain; charset=utf-8"},
		{"/page", "<!DOCTYPE html><p>", "text/html; charset=utf-8"},
		{"/long", long, "text/plain; charset=utf-8"},
		{"/long.bin.gz", long, "application/gzip"},
		{"/empty.txt", "", "text/plain; charset=utf-8"},
		{"/%C3%A4%20%C3%B6.txt", "umlaut", "text/plain; charset=utf-8"},
		{"/q%3f%23%25.txt", "odd", "text/plain; charset=utf-8"},
		{"/.well-known/acme", "token", "text/plain; charset=utf-8"},
		{"/sub/", "sub", "text/html; charset=utf-8"},
	} {
		for range 2 { // from the disk, from memory
			for _, method := range []string{"GET", "HEAD"} {
				res, body := get(t, method, base+test.path)
				want := test.body
				if method == "HEAD" {
					want = ""
				}
				if res.StatusCode != 200 || body != want || res.ContentLength != int64(len(test.body)) ||
					res.Header.Get("Content-Type") != test.typ {
					t.Errorf("%s %s: got %d, %d bytes of %d, %v", method, test.path, res.StatusCode, len(body), res.ContentLength, res.Header)
				}
				if res.Header.Get("Last-Modified") != old.UTC().Format(http.TimeFormat) || res.Header.Get("Etag")[0] != '"' ||
					res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%s %s: %v", method, test.path, res.Header)
				}
			}
		}
	}
}

func TestHandler_OtherMethodsAreRefused(t *testing.T) {
	base := start(t, tree(t, map[string]string{"a": "a"}), nil)
	for _, m := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"} {
		if res, _ := get(t, m, base+"/a"); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", m, res.StatusCode, res.Header)
		}
	}
}

func TestHandler_AnswersConditionsAndRanges(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 300_000} {
		text := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(text)
		url := start(t, tree(t, map[string]string{"f.bin": string(text), "f.bin.gz": string(text[1:])}), nil) + "/f.bin"
		res, _ := get(t, "GET", url)
		tag, modified := res.Header.Get("Etag"), res.Header.Get("Last-Modified")
		res, _ = get(t, "GET", url, "Accept-Encoding: gzip")
		if other := res.Header.Get("Etag"); other == tag || other == "" {
			t.Errorf("%s: two forms have the tag %s", name, tag)
		}
		for _, test := range []struct {
			code int
			body []byte
			with []string
		}{
			{304, nil, []string{"If-None-Match: " + tag}},
			{304, nil, []string{`If-None-Match: "x", W/` + tag}},
			{304, nil, []string{"If-None-Match: *"}},
			{200, text, []string{`If-None-Match: "x"`}},
			{304, nil, []string{"If-Modified-Since: " + modified}},
			{200, text, []string{"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"}},
			{412, nil, []string{`If-Match: "x"`}},
			{412, nil, []string{`If-Match: "x"`, "Accept-Encoding: gzip"}},
			{200, text, []string{"If-Match: " + tag}},
			{206, text[:10], []string{"Range: bytes=0-9"}},
			{206, text[size-5:], []string{"Range: bytes=-5"}},
			{206, text[500:], []string{"Range: bytes=500-"}},
			{206, text[1:11], []string{"Range: bytes=0-9", "Accept-Encoding: gzip"}},
			{206, text[:1], []string{"Range: bytes=0-0", "If-Range: " + tag}},
			{200, text, []string{"Range: bytes=0-0", `If-Range: "x"`}},
			{416, nil, []string{"Range: bytes=400000-"}},
			{416, nil, []string{"Range: bytes=400000-", "Accept-Encoding: gzip"}},
			{416, nil, []string{"Range: bytes=-0"}},
			{206, text[:10], []string{"Range: bytes=0-9,-00"}},
			{206, text[:10], []string{"Range: Bytes=0-9"}},
			{200, text, []string{"Range: items=0-9"}},
			{200, text, []string{"Range: none"}},
			{304, nil, []string{"If-None-Match: *", "Accept-Encoding: gzip"}},
			{200, text[1:], []string{`If-None-Match: "x"`, "Accept-Encoding: gzip"}},
		} {
			res, body := get(t, "GET", url, test.with...)
			if res.StatusCode != test.code || test.body != nil && body != string(test.body) {
				t.Errorf("%s %v: got %d, %d bytes", name, test.with, res.StatusCode, len(body))
			}
			if test.code == 304 && res.Header.Get("Etag") == "" {
				t.Errorf("%s %v: no tag: %v", name, test.with, res.Header)
			}
		}
		if res, _ := get(t, "HEAD", url, "Range: bytes=0-9"); res.StatusCode != 200 || res.ContentLength != int64(size) {
			t.Errorf("%s: HEAD of a range: got %d, %d bytes", name, res.StatusCode, res.ContentLength)
		}
		res, body := get(t, "GET", url, "Range: bytes=0-1,10-19")
		_, p, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		parts := multipart.NewReader(strings.NewReader(body), p["boundary"])
		for _, want := range [][]byte{text[:2], text[10:20]} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(part); !bytes.Equal(got, want) {
				t.Errorf("%s: a part is %q, want %q", name, got, want)
			}
		}
	}
}

func TestHandler_AnEmptyFileHasNoRanges(t *testing.T) {
	url := start(t, tree(t, map[string]string{"empty.txt": ""}), nil) + "/empty.txt"
	for _, r := range []string{"bytes=0-0", "bytes=-1", "bytes=0-", "bytes=-0"} {
		if res, _ := get(t, "GET", url, "Range: "+r); res.StatusCode != 200 || res.Header.Get("Content-Range") != "" {
			t.Errorf("%s: got %d, %v", r, res.StatusCode, res.Header)
		}
	}
}

func TestHandler_SendsThePrecompressedForm(t *testing.T) {
	dir := tree(t, map[string]string{"a.js": "plain", "a.js.gz": "GZIP", "a.js.zst": "ZSTD", "g.html": "plain", "g.html.gz": "GZIP",
		"stale.css": "plain", "stale.css.gz": "GZIP", "page": "<!doctype html>", "page.gz": "GZIP", "d.txt": "plain", "d.txt.gz/x": ""})
	os.Chtimes(filepath.Join(dir, "stale.css"), old.Add(time.Second), old.Add(time.Second))
	base := start(t, dir, nil)
	for _, test := range []struct{ path, accept, body, encoding, typ string }{
		{"/a.js", "", "plain", "", "text/javascript; charset=utf-8"},
		{"/a.js", "gzip, zstd, br", "ZSTD", "zstd", "text/javascript; charset=utf-8"},
		{"/a.js", "GZIP", "GZIP", "gzip", "text/javascript; charset=utf-8"},
		{"/a.js", "zstd;q=0.5, gzip;q=0.9", "GZIP", "gzip", "text/javascript; charset=utf-8"},
		{"/a.js", "zstd;q=0, *", "GZIP", "gzip", "text/javascript; charset=utf-8"},
		{"/a.js", "x-gzip", "GZIP", "gzip", "text/javascript; charset=utf-8"},
		{"/a.js", "br", "plain", "", "text/javascript; charset=utf-8"},
		{"/a.js", "identity, gzip;q=0.5", "plain", "", "text/javascript; charset=utf-8"},
		{"/a.js", "gzip;q=x, zstd;q=2", "plain", "", "text/javascript; charset=utf-8"},
		{"/g.html", "gzip, zstd", "GZIP", "gzip", "text/html; charset=utf-8"},
		{"/stale.css", "gzip", "plain", "", "text/css; charset=utf-8"},
		{"/page", "gzip", "GZIP", "gzip", "text/html; charset=utf-8"},
		{"/d.txt", "gzip", "plain", "", "text/plain; charset=utf-8"},
		{"/a.js.gz", "gzip", "GZIP", "", "application/gzip"},
	} {
		for range 2 {
			res, body := get(t, "GET", base+test.path, "Accept-Encoding: "+test.accept)
			h := res.Header
			if body != test.body || h.Get("Content-Encoding") != test.encoding || h.Get("Content-Type") != test.typ || h.Get("Vary") == "" {
				t.Errorf("%s, %q: got %q, %v", test.path, test.accept, body, h)
			}
		}
	}
}

func TestHandler_SeesEveryChange(t *testing.T) {
	dir := tree(t, map[string]string{"f.txt": "one"})
	base, name := start(t, dir, &static.Options{CheckEvery: -1}), filepath.Join(dir, "f.txt")
	last := ""
	expect := func(want string) {
		t.Helper()
		for range 2 {
			res, body := get(t, "GET", base+"/f.txt")
			if body != want {
				t.Fatalf("got %q, want %q", body, want)
			}
			last = res.Header.Get("Etag")
		}
	}
	expect("one")
	first := last
	put(t, name, "three") // another size, the same time
	expect("three")
	put(t, name+".new", "seven") // another file
	os.Rename(name+".new", name)
	expect("seven")
	for i := range 50 { // the same size, within a tick or not
		text := fmt.Sprintf("n%04d", i)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		expect(text)
	}
	put(t, name, "one")
	expect("one")
	if last != first {
		t.Errorf("the same content has the tags %s and %s", first, last)
	}
	os.Remove(name)
	if res, _ := get(t, "GET", base+"/f.txt"); res.StatusCode != 404 {
		t.Errorf("removed: %d", res.StatusCode)
	}
	os.Mkdir(name, 0o755)
	if res, _ := get(t, "GET", base+"/f.txt"); res.StatusCode != 301 {
		t.Errorf("a directory now: %d", res.StatusCode)
	}
}

func TestHandler_LooksAtAFileOnceInAWhile(t *testing.T) {
	dir := tree(t, map[string]string{"f.txt": "one", "d/index.html": "one"})
	rarely, often := start(t, dir, &static.Options{CheckEvery: time.Hour}), start(t, dir, nil)
	for _, path := range []string{"/f.txt", "/d/"} {
		for _, base := range []string{rarely, often} {
			if _, body := get(t, "GET", base+path, "Accept-Encoding: gzip"); body != "one" {
				t.Errorf("%s: got %q", path, body)
			}
		}
	}
	put(t, filepath.Join(dir, "f.txt.gz"), "gz")
	put(t, filepath.Join(dir, "d/index.html"), "three")
	for path, want := range map[string]string{"/f.txt": "gz", "/d/": "three"} {
		if _, body := get(t, "GET", rarely+path, "Accept-Encoding: gzip"); body != "one" {
			t.Errorf("%s: the disk was asked again: %q", path, body)
		}
		for t.Context().Err() == nil {
			if _, body := get(t, "GET", often+path, "Accept-Encoding: gzip"); body == want {
				break
			}
		}
	}
	if _, body := get(t, "GET", rarely+"/d/index.html"); body != "three" { // another path
		t.Errorf("got %q", body)
	}
}

func TestHandler_RedirectsToTheOneFormOfAName(t *testing.T) {
	base := start(t, tree(t, map[string]string{"d/index.html": "d", "d/f.txt": "f", "a:b/index.html": "", "é/index.html": ""}), nil)
	for path, want := range map[string]string{
		"/d": "/d/", "/d?x=1&y": "/d/?x=1&y", "/d/f.txt/": "/d/f.txt", "/a:b": "/a:b/", "/%C3%A9": "/%C3%A9/",
	} {
		res, _ := get(t, "GET", base+path)
		to, err := res.Location()
		if res.StatusCode != 301 || err != nil || to.String() != base+want {
			t.Errorf("%s: %d to %v, want %s", path, res.StatusCode, to, want)
		}
	}
}

// escapes are paths that must not lead anywhere.
var escapes = []string{
	"/../secret.txt", "/..", "/a/../../secret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/..%2f..%2fsecret.txt",
	"/..\\secret.txt", "/..%5csecret.txt", "//secret.txt", "///etc/passwd", "//etc/passwd", "/./f.txt", "/a//b.txt", "/f.txt%00",
	"/%00", "/out", "/out/", "/abs", "/dirout/secret.txt", "/.hidden", "/.git/config", "/a/.hidden", "/.", "/loop", "/loop/x",
	"/f.txt/x", "/f.txt/..", "/" + strings.Repeat("a", 5000), "/" + strings.Repeat("a/", 3000), "/.well-known/.x", "/a/.well-known/x",
	"/dangling", "/pipe", "/nothing", "/a/",
}

func dangerous(t testing.TB) string {
	dir := tree(t, map[string]string{"f.txt": "fine", "a/b.txt": "fine", ".hidden": "HIDDEN", ".git/config": "HIDDEN", "a/.hidden": "HIDDEN",
		".well-known/.x": "HIDDEN", "a/.well-known/x": "HIDDEN"})
	for link, to := range map[string]string{
		"out": "../secret.txt", "abs": filepath.Join(dir, "../secret.txt"), "dirout": "..", "loop": "loop", "dangling": "nowhere", "in": "a/b.txt",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil && runtime.GOOS != "windows" {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHandler_NothingLeadsOut(t *testing.T) {
	addr := strings.TrimPrefix(start(t, dangerous(t), &static.Options{Listing: false}), "http://")
	for _, path := range escapes {
		// As it is: clients tidy paths up.
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != 404 && res.StatusCode != 400 && res.StatusCode != 301 || bytes.Contains(b, []byte("SECRET")) || bytes.Contains(b, []byte("HIDDEN")) {
			t.Errorf("%.60s: got %d %.60s", path, res.StatusCode, b)
		}
		c.Close()
	}
	if _, body := get(t, "GET", "http://"+addr+"/in"); body != "fine" && runtime.GOOS != "windows" {
		t.Errorf("a link within: %q", body)
	}
}

func FuzzHandler(f *testing.F) {
	for _, path := range escapes {
		f.Add(path, "gzip;q=0.5, zstd", "bytes=0-1")
	}
	f.Add("/f.txt", "*;q=", "bytes=-9999999999999999999")
	dir := dangerous(f)
	handlers := []*static.Handler{handler(f, dir, nil), handler(f, dir, &static.Options{Listing: true})}
	f.Fuzz(func(t *testing.T, path, accept, ranges string) {
		for _, h := range handlers {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = &url.URL{Path: path}
			r.Header["Accept-Encoding"], r.Header["Range"] = []string{accept}, []string{ranges}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			body := w.Body.String()
			if strings.Contains(body, "SECRET") || strings.Contains(body, "HIDDEN") || w.Code >= 500 {
				t.Fatalf("%q: %d %q", path, w.Code, body)
			}
			if to := w.Header().Get("Location"); to != "" && !strings.HasPrefix(to, "./") && !strings.HasPrefix(to, "../") {
				t.Fatalf("%q leads to %q", path, to)
			}
		}
	})
}

func TestHandler_ListsOnlyWhenAsked(t *testing.T) {
	dir := dangerous(t)
	put(t, filepath.Join(dir, "a", `<b>&"x'.txt`), "")
	put(t, filepath.Join(dir, "a", "javascript:x"), "")
	os.Mkdir(filepath.Join(dir, "a", "sub"), 0o755)
	if res, _ := get(t, "GET", start(t, dir, nil)+"/a/"); res.StatusCode != 404 {
		t.Errorf("got %d", res.StatusCode)
	}
	base := start(t, dir, &static.Options{Listing: true})
	want := `<!doctype html>
<meta charset="utf-8">
<title>/a/</title>
<h1>/a/</h1>
<ul>
<li><a href="./%3Cb%3E&amp;%22x%27.txt">&lt;b&gt;&amp;&#34;x&#39;.txt</a>
<li><a href="./b.txt">b.txt</a>
<li><a href="./javascript:x">javascript:x</a>
<li><a href="./sub/">sub/</a>
</ul>
`
	res, body := get(t, "GET", base+"/a/")
	if body != want || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got %s want %s", body, want)
	}
	if _, body := get(t, "HEAD", base+"/a/"); body != "" {
		t.Errorf("HEAD got %q", body)
	}
	if _, body := get(t, "GET", start(t, dir, &static.Options{Dotfiles: true})+"/.hidden"); body != "HIDDEN" {
		t.Errorf("dotfiles on: %q", body)
	}
}

func TestHandler_LogsEachRequest(t *testing.T) {
	var log bytes.Buffer
	h := handler(t, tree(t, map[string]string{"hello.txt": "hello"}), &static.Options{AccessLog: &log, Process: "Process-2"})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/hello.txt", nil), httptest.NewRequest("HEAD", "/none?a=%22b", nil), httptest.NewRequest("POST", "/hello.txt", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	r := httptest.NewRequest("GET", "/hello.txt", nil)
	r.Header.Set("Range", "bytes=1-2")
	r.RequestURI = "/\"\n\x1b"
	h.ServeHTTP(httptest.NewRecorder(), r)
	h.Close()
	want := "[Process-2]\t\"GET /hello.txt HTTP/1.1\" 200 -\n" +
		"[Process-2]\t\"HEAD /none?a=%22b HTTP/1.1\" 404 -\n" +
		"[Process-2]\t\"POST /hello.txt HTTP/1.1\" 405 -\n" +
		"[Process-2]\t\"GET /\\\"\\n\\x1b HTTP/1.1\" 206 -\n"
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", &log, want)
	}
}

// stuck is a writer that takes nothing until it is let go.
type stuck struct {
	bytes.Buffer
	entered, release chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.release
	return s.Buffer.Write(b)
}

func TestHandler_ALogThatNobodyTakesStopsNobody(t *testing.T) {
	log := &stuck{entered: make(chan struct{}, 1), release: make(chan struct{})}
	h := handler(t, tree(t, map[string]string{"f": ""}), &static.Options{AccessLog: log})
	ask := func(n int) {
		for range n {
			r := httptest.NewRequest("GET", "/f", nil)
			r.RequestURI = "/" + strings.Repeat("x", 1000)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	ask(1)
	<-log.entered
	ask(2000)
	close(log.release)
	h.Close()
	lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
	var lost int
	if _, err := fmt.Sscanf(lines[len(lines)-1], "%d lines are lost", &lost); err != nil || lost+len(lines)-1 != 2001 || lost == 0 {
		t.Errorf("got %d lines, the last is %.100q", len(lines), lines[len(lines)-1])
	}
	if first := lines[0]; !strings.HasPrefix(first, `"GET /xxx`) || !strings.HasSuffix(first, ` HTTP/1.1" 200 -`) {
		t.Errorf("got %.100q", first)
	}
}

func TestHandler_ManyAtOnceWhileTheCacheIsFull(t *testing.T) {
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("%d.txt", i)] = strings.Repeat(fmt.Sprint(i%10), 1000)
	}
	dir := tree(t, files)
	var wg sync.WaitGroup
	for _, limit := range []int64{-1, 10_000, 0} {
		h := handler(t, dir, &static.Options{CacheBytes: limit, CheckEvery: time.Microsecond})
		for id := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(id), 0))
				for range 300 {
					name := fmt.Sprintf("%d.txt", r.IntN(50))
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest("GET", "/"+name, nil))
					if w.Body.String() != files[name] {
						t.Errorf("%s: got %d, %.20q", name, w.Code, w.Body)
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	dir := tree(t, map[string]string{"f": ""})
	for _, name := range []string{"none", "f"} {
		if h, err := static.New(filepath.Join(dir, name), nil); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: got %v, %v", name, h, err)
		}
	}
}

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ h http.Header }

func (n nowhere) Header() http.Header         { return n.h }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

func BenchmarkHandler(b *testing.B) {
	dir := tree(b, map[string]string{"hello.txt": strings.Repeat("hello\n", 100)})
	root := http.FileServer(http.Dir(dir))
	for name, h := range map[string]http.Handler{"ours": handler(b, dir, nil), "FileServer": root} {
		b.Run(name+", handler only", func(b *testing.B) {
			b.ReportAllocs()
			r, w := httptest.NewRequest("GET", "/hello.txt", nil), nowhere{http.Header{}}
			for b.Loop() {
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
		b.Run(name+", over HTTP", func(b *testing.B) {
			s := httptest.NewServer(h)
			defer s.Close()
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", s.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				r, ask := bufio.NewReader(c), []byte("GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n")
				for pb.Next() {
					c.Write(ask)
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, res.Body)
				}
			})
		})
	}
}
