package become

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

type Who struct{}

// who answers with what its context is known by.
func who(ctx context.Context, _ Who) (map[string]string, error) {
	header := http.Header{}
	Inject(ctx, header)
	all := map[string]string{"id": RequestID(ctx)}
	for name := range header {
		all[strings.ToLower(name)] = header.Get(name)
	}
	return all, nil
}

func TestAPI_KnowsEachRequest(t *testing.T) {
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, RequestID(r.Context())) })
	addr, _ := calculate(t, Handle(who), Route("/own", own))
	_, r := talk(t, addr, "GET /Who HTTP/1.1\r\nHost: x\r\nx-request-id: mine-1\r\ntraceparent: "+parent+"\r\ntracestate: a=1\r\n\r\n")
	res, body := answer(t, r, "")
	for _, want := range []string{`"id":"mine-1"`, `"x-request-id":"mine-1"`, `"traceparent":"` + parent + `"`, `"tracestate":"a=1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	if res.Header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("got %v", res.Header)
	}
	seen := map[string]bool{}
	for _, sent := range []string{"", "x-request-id: two words\r\n", "x-request-id: " + strings.Repeat("a", 129) + "\r\n", "x-request-id: a\r\nx-request-id: b\r\n"} {
		_, r := talk(t, addr, "GET /Nothing HTTP/1.1\r\nHost: x\r\ntraceparent: nonsense\r\n"+sent+"\r\n")
		res, body := answer(t, r, "")
		id := res.Header.Get("X-Request-Id")
		if len(id) < 18 || seen[id] || !strings.Contains(body, `"request_id":"`+id+`"`) {
			t.Errorf("%s: got %q, %s", sent, id, body)
		}
		seen[id] = true
	}
	_, r = talk(t, addr, "GET /own HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-2\r\n\r\n")
	if _, body := answer(t, r, ""); body != "mine-2" {
		t.Errorf("a route: got %s", body)
	}
	_, r = talk(t, addr, "POST /RPC2 HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-3\r\nContent-Length: 54\r\n\r\n<methodCall><methodName>Who</methodName></methodCall>\n")
	if res, body := answer(t, r, ""); !strings.Contains(body, "mine-3") || res.Header.Get("X-Request-Id") != "mine-3" {
		t.Errorf("XML-RPC: got %s", body)
	}
}

func TestAPI_CountsItsRequests(t *testing.T) {
	addr, _ := calculate(t)
	ask := func(path string) string {
		t.Helper()
		_, r := talk(t, addr, get(path))
		_, body := answer(t, r, "")
		return body
	}
	for path, times := range map[string]int{"/Multiply?x=1": 3, "/Divide?x=1&y=0": 2, "/Divide?x=1&y=1": 1, "/Multiply?z=1": 2, "/Nothing": 1, "/Whole": 1, "/Hang": 1, "/metrics?": 2} {
		for range times {
			ask(path)
		}
	}
	text := ask("/metrics")
	for _, want := range []string{
		`become_api_requests_total{request="Multiply",outcome="ok"} 3`,
		`become_api_requests_total{request="Multiply",outcome="invalid"} 2`,
		`become_api_requests_total{request="Divide",outcome="invalid"} 2`, // the answer is none that can be written
		`become_api_requests_total{request="Divide",outcome="ok"} 1`,
		`become_api_requests_total{request="",outcome="not_found"} 1`,
		`become_api_requests_total{request="Whole",outcome="internal"} 1`,
		`become_api_requests_total{request="Hang",outcome="deadline"} 1`,
		`become_api_requests_in_flight{request="Hang"} 1`,
		`become_api_requests_in_flight{request="Multiply"} 0`,
		`become_api_request_duration_seconds_count{request="Multiply"} 3`,
		`become_api_request_duration_seconds_bucket{request="Hang",le="0.05"} 0`,
		`become_api_sessions 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

func TestAPI_CountsWhatIsAskedOfResources(t *testing.T) {
	addr, _ := calculate(t, Resource("notes", MemoryStore[thing]()), Resource("broken", (*noStore)(nil)))
	ask := func(text string) (*http.Response, string) {
		t.Helper()
		_, r := talk(t, addr, text)
		return answer(t, r, strings.Fields(text)[0])
	}
	sent := func(method, path string) string {
		return method + strings.TrimPrefix(post(path, asJSON, `{"name":"x"}`), "POST")
	}
	for _, text := range []string{
		sent("PUT", "/notes/a"), sent("PUT", "/notes/b"), sent("POST", "/notes"), get("/notes/a"), "HEAD /notes/b HTTP/1.1\r\nHost: x\r\n\r\n", get("/notes/c"),
		get("/notes?limit=0"), get("/notes?limit=1"), sent("PATCH", "/notes/a"), "DELETE /notes/b HTTP/1.1\r\nHost: x\r\n\r\n",
		sent("PATCH", "/notes"), get("/notes/a/b"), "OPTIONS /notes HTTP/1.1\r\nHost: x\r\n\r\n", get("/broken/a"),
	} {
		ask(text)
	}
	_, text := ask(get("/metrics"))
	for _, want := range []string{
		`_total{request="PUT /notes/{id}",outcome="ok"} 2`, `_total{request="POST /notes",outcome="ok"} 1`,
		`_total{request="GET /notes/{id}",outcome="ok"} 2`, `_total{request="GET /notes/{id}",outcome="not_found"} 1`,
		`_total{request="GET /notes",outcome="ok"} 1`, `_total{request="GET /notes",outcome="invalid"} 1`,
		`_total{request="PATCH /notes/{id}",outcome="ok"} 1`, `_total{request="DELETE /notes/{id}",outcome="ok"} 1`,
		`_total{request="",outcome="invalid"} 1`, `_total{request="",outcome="not_found"} 1`, `_total{request="GET /broken/{id}",outcome="internal"} 1`,
		`_in_flight{request="GET /notes/{id}"} 0`, `_in_flight{request="GET /broken/{id}"} 0`, `_duration_seconds_count{request="GET /notes/{id}"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, `request="",outcome="ok"`) {
		t.Error("OPTIONS counts")
	}
}

// noStore panics: it is nil, and has no methods of its own.
type noStore struct{ Store[thing] }

func TestAPI_SaysHowItIs(t *testing.T) {
	d := &desk{held: make(chan struct{}), goOn: make(chan struct{})}
	addr, end := served(t, API("desk", Methods(d)))
	c, r := talk(t, addr, "")
	ask := func(path string) (*http.Response, string) {
		t.Helper()
		io.WriteString(c, get(path))
		return answer(t, r, "")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if res, body := ask(path); res.StatusCode != 200 || body != "ok\n" {
			t.Errorf("%s: got %d %s", path, res.StatusCode, body)
		}
	}
	over := make(chan error, 1)
	go func() { over <- end() }()
	for closing := false; !closing; { // the connection is there until it is told to close
		res, body := ask("/readyz")
		if closing = res.Close; res.StatusCode == 503 && (body != "draining\n" || res.Header.Get("Retry-After") == "") || closing && res.StatusCode != 503 {
			t.Errorf("in the drain: got %d %s %v", res.StatusCode, body, res.Header)
		}
	}
	c.Close()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestAPI_ObservesWhereItIsTold(t *testing.T) {
	for _, c := range []struct {
		opts  ObserveOptions
		more  []APIPart
		path  string
		code  int
		begin string
	}{
		{ObserveOptions{Metrics: "/figures"}, nil, "/figures", 200, "# HELP"},
		{ObserveOptions{Metrics: "/figures"}, nil, "/metrics", 404, "{"},
		{ObserveOptions{Health: "none"}, nil, "/healthz", 404, "{"},
		{ObserveOptions{Socket: "admin"}, nil, "/readyz", 404, "{"},
		{ObserveOptions{}, []APIPart{Route("/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "mine") }))}, "/healthz", 200, "mine"},
		{ObserveOptions{}, []APIPart{Handle(who, RequestOptions{Name: "metrics"})}, "/metrics", 200, `{"value"`},
	} {
		addr, _ := calculate(t, append(c.more, APIOptions{Observe: c.opts})...)
		_, r := talk(t, addr, get(c.path))
		if res, body := answer(t, r, ""); res.StatusCode != c.code || !strings.HasPrefix(body, c.begin) {
			t.Errorf("%+v: got %d %.50s", c.opts, res.StatusCode, body)
		}
	}
}
