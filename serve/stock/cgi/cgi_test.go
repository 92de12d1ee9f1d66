//go:build linux || darwin

package cgi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/stock/cgi"
	"github.com/universal-server/become/serve/stock/internal/stocktest"
)

// write writes a script into a folder.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// shell writes a shell script.
func shell(t testing.TB, text string) string {
	return write(t, t.TempDir(), "script", "#!/bin/sh\n"+text)
}

type server struct {
	url     string
	log     *stocktest.Log
	handler *cgi.Handler
}

func start(t testing.TB, path string, o cgi.Options) server {
	t.Helper()
	l := stocktest.NewLog(t)
	o.Logger = l.Logger()
	h, err := cgi.New(path, &o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Close()
		s.Close()
		if t.Failed() {
			t.Log(l)
		}
	})
	return server{s.URL, l, h}
}

// do asks a server and returns its answer, and an error if the body was cut.
func do(t testing.TB, method, url string, body io.Reader, header ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		key, value, _ := strings.Cut(h, ": ")
		r.Header.Add(key, value)
	}
	c := http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func get(t testing.TB, url string, header ...string) (*http.Response, string) {
	t.Helper()
	res, body, err := do(t, "GET", url, nil, header...)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

const python = `#!/usr/bin/env python3
import os, sys
print("Content-Type: text/plain")
print("X-Script: python")
print()
for name in sorted(os.environ):
    if name != "PATH":
        print(name + "=" + os.environ[name])
print("cwd=" + os.getcwd())
body = sys.stdin.buffer.read(int(os.environ.get("CONTENT_LENGTH", 0)))
print("body=%d %d" % (len(body), sum(body)), sys.stdin.buffer.read())
`

// needPython skips a test where there is no Python.
func needPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") != "" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
}

func TestHandler_APythonScriptGetsTheRequest(t *testing.T) {
	needPython(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "tools/show.py", python)
	t.Setenv("SECRET", "s3cr3t")
	s := start(t, dir, cgi.Options{})
	host := strings.TrimPrefix(s.url, "http://")
	name, port, _ := net.SplitHostPort(host)
	common := []string{
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_SOFTWARE=become", "SERVER_NAME=" + name, "SERVER_PORT=" + port,
		"REMOTE_ADDR=127.0.0.1", "SCRIPT_NAME=/tools/show.py", "SCRIPT_FILENAME=" + path, "HTTP_HOST=" + host, "cwd=" + filepath.Dir(path),
	}
	for _, test := range []struct {
		method, path string
		body         io.Reader
		header       []string
		want, never  []string
	}{
		{"GET", "/tools/show.py", nil, nil, []string{"REQUEST_METHOD=GET", "PATH_INFO=", "QUERY_STRING=", "body=0 0 b''"}, []string{"CONTENT_LENGTH", "CONTENT_TYPE"}},
		{"GET", "/tools/show.py/a%20b//../c?x=1&y=%2f", nil, []string{"X-One: 1", "X-One: 2", "X_One: fake", "Cookie: a=1", "Cookie: b=2", "Proxy: evil", "Authorization: Basic eDp5", "Te: x"},
			[]string{"PATH_INFO=/a b//../c", "QUERY_STRING=x=1&y=%2f", "REQUEST_URI=/tools/show.py/a%20b//../c?x=1&y=%2f", "HTTP_X_ONE=1, 2", "HTTP_COOKIE=a=1; b=2"},
			[]string{"HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_TE", "fake", "SECRET", "s3cr3t"}},
		{"POST", "/tools/show.py/", strings.NewReader("hello"), []string{"Content-Type: text/x"}, []string{"REQUEST_METHOD=POST", "PATH_INFO=/", "CONTENT_LENGTH=5", "CONTENT_TYPE=text/x", "body=5 532 b''"}, []string{"HTTP_CONTENT"}},
		{"PUT", "/tools/show.py", io.MultiReader(bytes.NewReader(make([]byte, 300_000)), strings.NewReader("\x01")), nil, []string{"CONTENT_LENGTH=300001", "body=300001 1 b''"}, []string{"TRANSFER_ENCODING"}}, // chunked
	} {
		res, got, err := do(t, test.method, s.url+test.path, test.body, test.header...)
		if err != nil || res.StatusCode != 200 || res.Header.Get("X-Script") != "python" || res.Header.Get("Content-Type") != "text/plain" {
			t.Fatalf("%s %s: got %v, %v, %s", test.method, test.path, res, err, got)
		}
		for _, want := range append(test.want, common...) {
			if !strings.Contains("\n"+got, "\n"+want+"\n") {
				t.Errorf("%s %s: %s is not in %s", test.method, test.path, want, got)
			}
		}
		for _, never := range test.never {
			if strings.Contains(got, never) {
				t.Errorf("%s %s: %s is in %s", test.method, test.path, never, got)
			}
		}
	}
	s = start(t, path, cgi.Options{Authorization: true, Env: []string{"MINE=1"}})
	_, got := get(t, s.url+"/any/path", "Authorization: Basic eDp5")
	for _, want := range []string{"HTTP_AUTHORIZATION=Basic eDp5", "MINE=1", "SCRIPT_NAME=", "PATH_INFO=/any/path"} {
		if !strings.Contains("\n"+got, "\n"+want+"\n") {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

// TestHandler_AWSGIApplication is the example of the course on concurrency, row 56.
func TestHandler_AWSGIApplication(t *testing.T) {
	needPython(t)
	s := start(t, write(t, t.TempDir(), "hello.py", `#!/usr/bin/env python3
from wsgiref.handlers import CGIHandler
def helloapp(environ, start_response):
    start_response("200 OK", [("Content-type", "text/plain")])
    return [("Request method: %s\r\n" % environ["REQUEST_METHOD"]).encode(),
            ("Resource      : %s\r\n" % environ["PATH_INFO"]).encode()]
CGIHandler().run(helloapp)
`), cgi.Options{})
	if _, got := get(t, s.url+"/foo/bar"); got != "Request method: GET\r\nResource      : /foo/bar\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestHandler_FindsOnlyScripts(t *testing.T) {
	dir := t.TempDir()
	const here = "#!/bin/sh\necho Content-Type: text/plain; echo; echo here"
	for _, name := range []string{"in/a", "in/sub/b", "in/.hidden", "in/.d/c", "out"} {
		write(t, dir, name, here)
	}
	os.WriteFile(filepath.Join(dir, "in/plain"), []byte(here), 0o644)
	os.Symlink("a", filepath.Join(dir, "in/link"))
	os.Symlink("../out", filepath.Join(dir, "in/away"))
	os.Symlink("/bin/sh", filepath.Join(dir, "in/shell"))
	if err := unix.Mkfifo(filepath.Join(dir, "in/pipe"), 0o777); err != nil {
		t.Fatal(err)
	}
	s := start(t, filepath.Join(dir, "in"), cgi.Options{})
	for path, want := range map[string]int{
		"/a": 200, "/a/": 200, "/a/../../x": 200, "/sub/b/x/y": 200, "/link": 200,
		"/": 404, "": 404, "/sub": 404, "/sub/": 404, "/none": 404, "/.hidden": 404, "/.d/c": 404, "/away": 404, "/shell": 404, "/pipe": 404,
		"/plain": 404, "//a": 404, "/sub//b": 404, "/./a": 404, "/../out": 404, "/%2e%2e/out": 404, "/sub%2fb": 200, "/sub\\b": 404,
		"/a%00": 400, "/a/%00": 400,
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != want && path != "" {
			t.Errorf("%s: got %v, %v, want %d", path, res, err, want)
		}
		c.Close()
	}
	s.log.Await(t, "chmod +x", 1)
}

func TestHandler_WhatAScriptMayAnswer(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for _, test := range []struct {
		script string
		status int
		field  string
		body   string
	}{
		{`printf 'Content-Type: a/b\n\nbody'`, 200, "Content-Type: a/b", "body"},
		{`printf 'Content-Type: a/b\r\n\r\n\r\nbody'`, 200, "Content-Type: a/b", "\r\nbody"},
		{`printf 'content-type:a/b\nX-Long: ` + long + `\n\n'`, 200, "X-Long: " + long, ""},
		{`printf 'Status: 404 Not Here\nContent-Type: a/b\n\nno'`, 404, "", "no"},
		{`printf 'Status: 204\n\nignored'`, 204, "", ""},
		{`printf 'Location: http://x/\n\n'`, 302, "Location: http://x/", ""},
		{`printf 'Location: /x\nStatus: 301\n\n'`, 301, "Location: /x", ""},
		{`printf 'Location: //x\n\n'`, 302, "Location: //x", ""},
		{`printf 'Content-Type: a/b\nContent-Length: 4\n\nbody'`, 200, "Content-Length: 4", "body"},
		{`printf 'Content-Type: a/b\nContent-Length: 4\n\nbody\n'`, 200, "Content-Length: 4", "body"},
		{`printf 'Content-Type: a/b\nContent-Length: 4\n\nbo'; sleep 0.01; head -c 3000000 /dev/zero | tr '\0' d`, 200, "Content-Length: 4", "bodd"},
		{`printf 'Content-Type: a/b\nContent-Length: 0\n\nbody'`, 200, "Content-Length: 0", ""},
		{`printf 'Content-Type: a/b\nConnection: upgrade\nTransfer-Encoding: x\nSet-Cookie: a\nSet-Cookie: b\n\nbody'`, 200, "Set-Cookie: a,b", "body"},
		{`printf 'Content-Type: a/b\n\n'; head -c 3000000 /dev/zero`, 200, "", strings.Repeat("\x00", 3_000_000)},
		// What makes no sense.
		{`:`, 502, "", "Bad Gateway\n"},
		{`exit 3`, 502, "", "Bad Gateway\n"},
		{`kill -9 $$`, 502, "", "Bad Gateway\n"},
		{`echo; echo body`, 502, "", "Bad Gateway\n"},
		{`echo hello world`, 502, "", "Bad Gateway\n"},
		{`printf 'Content-Type: a/b\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'X: y\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Content-Type: a/b\nno field\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Content-Type: a\001b\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Content Type: a\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Status: 99\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Status: 101\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Status: 200\nStatus: 200\n\n'`, 502, "", "Bad Gateway\n"},
		{`printf 'Content-Type: a/b\nContent-Length: -1\n\n'`, 502, "", "Bad Gateway\n"},
		{`head -c 100000 /dev/urandom`, 502, "", "Bad Gateway\n"},
		{`printf 'X: '; exec yes`, 502, "", "Bad Gateway\n"},
		{`printf 'X: '; exec tr '\0' x </dev/zero`, 502, "", "Bad Gateway\n"},
	} {
		s := start(t, shell(t, test.script), cgi.Options{})
		res, body, err := do(t, "GET", s.url, nil)
		if err != nil || res.StatusCode != test.status || body != test.body {
			t.Errorf("%.60s: got %v, %v, %.60q, want %d, %.60q", test.script, res, err, body, test.status, test.body)
			continue
		}
		if name, value, ok := strings.Cut(test.field, ": "); ok && strings.Join(res.Header[name], ",") != value {
			t.Errorf("%.60s: got %v", test.script, res.Header)
		}
		if test.status == 502 {
			s.log.Await(t, "there is no answer", 1)
		}
	}
}

func TestHandler_HeadRunsTheScriptForItsHeaderOnly(t *testing.T) {
	s := start(t, shell(t, `printf 'Content-Type: a/b\nContent-Length: 5\n\n'; exec yes`), cgi.Options{})
	res, body, err := do(t, "HEAD", s.url, nil)
	if err != nil || body != "" || res.ContentLength != 5 {
		t.Errorf("got %v, %q, %v", res, body, err)
	}
	s.log.Await(t, "msg=ended", 1)
}

func TestHandler_FollowsLocalRedirects(t *testing.T) {
	s := start(t, shell(t, `
case $PATH_INFO in
/start) printf 'Location: /end?from=start\n\nignored' ;;
/loop) printf 'Location: /loop\n\n' ;;
/nonsense) printf 'Location: /%%zz\n\n' ;;
*) printf 'Content-Type: text/plain\n\n'; echo $REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_LENGTH $CONTENT_TYPE; cat ;;
esac`), cgi.Options{Max: 1})
	res, body, err := do(t, "POST", s.url+"/start", strings.NewReader("body"), "Content-Type: text/x")
	if err != nil || res.StatusCode != 200 || body != "GET /end from=start\n" {
		t.Errorf("got %v, %q, %v", res, body, err)
	}
	for _, path := range []string{"/loop", "/nonsense"} {
		if res, _ := get(t, s.url+path); res.StatusCode != 502 {
			t.Errorf("%s: got %d", path, res.StatusCode)
		}
	}
}

func TestHandler_StandardErrorIsTheLog(t *testing.T) {
	s := start(t, shell(t, `echo one >&2; printf 'Content-Type: a/b\n\n'; printf 'two \377' >&2`), cgi.Options{})
	get(t, s.url)
	s.log.Await(t, "text=one", 1)
	s.log.Await(t, `text="two \xff"`, 1)
}

// family has a child, and does not want to end.
const family = `trap '' TERM; sleep 1000 & echo $$ $! >&2; `

// pids are those that family has told.
func pids(t *testing.T, l *stocktest.Log) []string {
	t.Helper()
	l.Await(t, "text=", 1)
	_, rest, _ := strings.Cut(l.String(), `text="`)
	text, _, _ := strings.Cut(rest, `"`)
	if all := strings.Fields(text); len(all) == 2 {
		return all
	}
	t.Fatalf("it has told %q", text)
	return nil
}

func TestHandler_AScriptHasItsTime(t *testing.T) {
	soon := cgi.Options{Within: 50 * time.Millisecond, Grace: time.Millisecond}
	s := start(t, shell(t, family+`sleep 1000`), soon)
	if res, _ := get(t, s.url); res.StatusCode != 504 {
		t.Errorf("got %d", res.StatusCode)
	}
	stocktest.AwaitGone(t, pids(t, s.log))
	for _, length := range []string{"", `Content-Length: 4000000000\n`} {
		// It has answered, but does not come to an end.
		script := shell(t, family+`printf 'Content-Type: a/b\n`+length+`\n'; exec yes`)
		for o := soon; ; o.Within *= 2 {
			s := start(t, script, o)
			res, body, err := do(t, "GET", s.url, nil)
			if err == nil && res.StatusCode == 504 && o.Within < time.Minute {
				continue // it had no time to begin: the machine is busy
			}
			if err == nil {
				t.Errorf("got %v and %d bytes, and an ordinary end", res, len(body))
			}
			s.log.Await(t, "the answer is cut", 1)
			stocktest.AwaitGone(t, pids(t, s.log))
			break
		}
	}
}

func TestHandler_AScriptThatCrashesCutsItsAnswer(t *testing.T) {
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\n'; head -c 100000 /dev/zero; kill -9 $$`), cgi.Options{})
	if res, body, err := do(t, "GET", s.url, nil); err == nil {
		t.Errorf("got %v and %d bytes, and an ordinary end", res, len(body))
	}
	s.log.Await(t, "the answer is cut", 1)
}

func TestHandler_AScriptEndsWithItsClient(t *testing.T) {
	o := cgi.Options{Grace: time.Millisecond, TakeWithin: 50 * time.Millisecond}
	for name, test := range map[string]struct {
		script string
		reset  bool
	}{
		"before the header": {family + `sleep 1000`, true},
		"in the body":       {family + `printf 'Content-Type: a/b\n\nsome'; sleep 1000`, true},
		"takes nothing":     {family + `printf 'Content-Type: a/b\n\n'; exec yes`, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, shell(t, test.script), o)
			c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			all := pids(t, s.log)
			if test.reset {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			stocktest.AwaitGone(t, all)
		})
	}
}

func TestHandler_AClientThatEndsItsSideIsAnswered(t *testing.T) {
	s := start(t, shell(t, `sleep 0.01; printf 'Content-Type: a/b\n\nanswer'`), cgi.Options{Grace: time.Minute})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), "\r\n\r\nanswer") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	// One that takes too long then is never told that all is well.
	s = start(t, shell(t, "exec sleep 1000"), cgi.Options{Grace: time.Millisecond})
	late, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	fmt.Fprint(late, "GET / HTTP/1.0\r\n\r\n")
	late.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(late); !strings.HasPrefix(string(got), "HTTP/1.0 504 ") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestHandler_WhatIsPrintedComesAtOnce(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\nfirst\n'; cat `+fifo), cgi.Options{})
	res, err := http.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	if got, err := in.ReadString('\n'); got != "first\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(fifo, []byte("second\n"), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "second\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestHandler_OnlySoManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, shell(t, `echo here >&2; printf 'Content-Type: a/b\n\n'; cat `+fifo), cgi.Options{Max: 1, WaitWithin: time.Millisecond})
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, body := get(t, s.url); res.StatusCode != 200 || body != "go on" {
			t.Errorf("got %v, %q", res, body)
		}
	})
	s.log.Await(t, "text=here", 1)
	if res, _ := get(t, s.url); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %v", res)
	}
	if err := os.WriteFile(fifo, []byte("go on"), 0); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = start(t, shell(t, `printf 'Content-Type: a/b\n\n'`), cgi.Options{Max: 1, WaitWithin: time.Minute})
	for range 10 { // they wait for their turn
		wg.Go(func() {
			if res, _ := get(t, s.url); res.StatusCode != 200 {
				t.Errorf("got %v", res)
			}
		})
	}
	wg.Wait()
}

func TestHandler_BodiesAreBounded(t *testing.T) {
	path := shell(t, `printf 'Content-Type: a/b\n\n'; wc -c`)
	s := start(t, path, cgi.Options{MaxBody: 1000})
	for size, want := range map[int]int{0: 200, 999: 200, 1000: 200, 1001: 413, 1_000_000: 413} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = bytes.NewReader(make([]byte, size))
			if chunked {
				body = io.MultiReader(body)
			}
			res, got, err := do(t, "POST", s.url, body)
			if err != nil && want == 413 { // it may still be sending
				continue
			}
			if err != nil || res.StatusCode != want || want == 200 && strings.TrimSpace(got) != strconv.Itoa(size) {
				t.Errorf("%d, chunked %v: got %v, %q, %v", size, chunked, res, got, err)
			}
		}
	}
	s = start(t, path, cgi.Options{Spool: 1000})
	for range 3 {
		if res, _, err := do(t, "POST", s.url, bytes.NewReader(make([]byte, 1001))); err != nil || res.StatusCode != 503 {
			t.Errorf("got %v, %v", res, err)
		}
		if res, _, err := do(t, "POST", s.url, bytes.NewReader(make([]byte, 1000))); err != nil || res.StatusCode != 200 {
			t.Errorf("got %v, %v", res, err)
		}
	}
}

func TestHandler_ASlowBodyHoldsNoScript(t *testing.T) {
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\n'; wc -c`), cgi.Options{Max: 1, BodyWithin: 50 * time.Millisecond})
	for request, want := range map[string]int{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow":                        408,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n":       408,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk at all\r\n": 400,
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, request)
		if res, _ := get(t, s.url); res.StatusCode != 200 {
			t.Errorf("meanwhile: got %v", res)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != want || !res.Close {
			t.Errorf("%q: got %v, %v, want %d", request, res, err, want)
			continue
		}
		io.Copy(io.Discard, res.Body)
		if _, err := in.ReadByte(); err == nil {
			t.Errorf("%q: the connection is still open", request)
		}
	}
}

func TestHandler_AConnectionServesManyRequests(t *testing.T) {
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\n'; wc -c`), cgi.Options{BodyWithin: 200 * time.Millisecond, TakeWithin: 200 * time.Millisecond})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i := range 5 {
		if i == 4 {
			time.Sleep(300 * time.Millisecond) // the deadlines of the others are over then
		}
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); strings.TrimSpace(string(b)) != "4" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

func TestHandler_HugeHeaderFieldsAreTheClientsFault(t *testing.T) {
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\n'`), cgi.Options{})
	if res, _ := get(t, s.url, "X-Large: "+strings.Repeat("x", 200_000)); res.StatusCode != 431 {
		t.Errorf("got %v", res)
	}
}

func TestHandler_AScriptThatCannotBeStarted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "nothing", "no first line")
	write(t, dir, "interpreter", "#!/no/such/interpreter\n")
	s := start(t, dir, cgi.Options{})
	for name, hint := range map[string]string{"nothing": "#!/usr/bin/env python3", "interpreter": "is the interpreter there"} {
		if res, _ := get(t, s.url+"/"+name); res.StatusCode != 500 {
			t.Errorf("%s: got %v", name, res)
		}
		s.log.Await(t, hint, 1)
	}
}

func TestHandler_OutputHeldByAProcessThatLeft(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no setsid here")
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\nall'; setsid sh -c 'echo $$ > `+pidFile+`.new; mv `+pidFile+`.new `+pidFile+`; exec sleep 1000' & while [ ! -e `+pidFile+` ]; do sleep 0.01; done`), cgi.Options{})
	res, body := get(t, s.url)
	if res.StatusCode != 200 || body != "all" {
		t.Errorf("got %v, %q", res, body)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	unix.Kill(n, unix.SIGKILL)
}

func TestClose_EndsWhatRuns(t *testing.T) {
	s := start(t, shell(t, family+`sleep 1000`), cgi.Options{Grace: time.Hour})
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, _ := get(t, s.url); res.StatusCode != 503 {
			t.Errorf("got %v", res)
		}
	})
	all := pids(t, s.log)
	s.handler.Close()
	stocktest.AwaitGone(t, all)
	wg.Wait()
	if res, _ := get(t, s.url); res.StatusCode != 503 {
		t.Errorf("after the end: got %v", res)
	}
}

func TestHandler_LeaksNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	s := start(t, shell(t, `printf 'Content-Type: a/b\n\n'; [ "$PATH_INFO" = /3 ] && exec yes; [ "$PATH_INFO" = /2 ] && exit 1; cat`), cgi.Options{Grace: time.Millisecond})
	tr := &http.Transport{DisableKeepAlives: true}
	round := func(n int) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("%s/%d", s.url, i%4), strings.NewReader("body"))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := tr.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				io.CopyN(io.Discard, res.Body, 100)
				cancel()
				res.Body.Close()
			})
		}
		wg.Wait()
	}
	round(8)
	s.log.Await(t, "msg=ended", 8)
	before := stocktest.Files(t)
	round(100)
	s.log.Await(t, "msg=ended", 108)
	s.handler.Close()
	for late := time.Now().Add(time.Minute); stocktest.Files(t) > before+1; runtime.Gosched() { // the server closes its connections
		if time.Now().After(late) {
			t.Fatalf("%d descriptors are open, %d before", stocktest.Files(t), before)
		}
	}
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, nil, 0o644)
	for path, want := range map[string]fault.Kind{
		filepath.Join(dir, "none"): fault.NotFound, plain: fault.Denied, "": fault.Invalid, "cat": fault.NotFound,
	} {
		if _, err := cgi.New(path, nil); err == nil || fault.KindOf(err) != want {
			t.Errorf("%q: got %v, want %s", path, err, want)
		}
	}
	if _, err := cgi.New(dir, &cgi.Options{Max: -1}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}
