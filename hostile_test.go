package become

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a server of an older design broke at, and what clients of all sorts send, one row each: bytes on a socket, and
// what comes back.

type (
	Multiply struct{ X, Y float64 }
	Divide   struct{ X, Y float64 }
	Whole    struct{ X, Y int }
	Output   struct{ Value float64 }
	Tree     struct{ Any any }
	Hang     struct{}
	Gone     struct{}
)

// calculator is crunch with some handlers that misbehave.
type calculator struct {
	release chan struct{} // closed at the end: lets Hang return
	gone    chan error    // what ended the contexts of Gone
	begun   chan struct{}
}

func (c *calculator) parts() []APIPart {
	return []APIPart{
		Handle(func(_ context.Context, m Multiply) (Output, error) { return Output{m.X * m.Y}, nil }),
		Handle(func(_ context.Context, m Divide) (Output, error) { return Output{m.X / m.Y}, nil }),
		Handle(func(_ context.Context, m Whole) (int, error) { return m.X / m.Y, nil }), // panics by itself
		Handle(func(_ context.Context, m Tree) (Tree, error) { return m, nil }),
		Handle(func(_ context.Context, m Hang) (Output, error) { <-c.release; return Output{}, nil }, RequestOptions{Timeout: 50 * time.Millisecond}),
		Handle(func(ctx context.Context, m Gone) (Output, error) {
			c.begun <- struct{}{}
			<-ctx.Done()
			c.gone <- context.Cause(ctx)
			return Output{}, ctx.Err()
		}),
	}
}

// calculate serves a calculator.
func calculate(t *testing.T, more ...APIPart) (addr string, c *calculator) {
	c = &calculator{make(chan struct{}), make(chan error, 1), make(chan struct{}, 1)}
	addr, end := served(t, API("crunch", append(c.parts(), more...)...))
	t.Cleanup(func() {
		close(c.release)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return addr, c
}

// talk sends bytes, and gives what comes back to a reader.
func talk(t *testing.T, addr, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// answer reads one answer.
func answer(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

const good = `{"value":["crunch.Output",{"value":3.375},[]]}` + "\n"

// post writes a request with a body.
func post(path, kind, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, kind, len(body), body)
}

func get(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n" }

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// A limit of who runs the service is answered as one of the API's own.
func TestAPI_RefusesLongBodiesAsItsDoorsDo(t *testing.T) {
	addr, _ := calculate(t, APIOptions{Origins: []string{"https://good.example"}, Service: ServiceOptions{MaxBody: 30}})
	long := strings.Repeat(" ", 31)
	for what, text := range map[string]string{
		"a request":  post("/Multiply", asJSON, long),
		"not waited": "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 300000000\r\nExpect: 100-continue\r\n\r\n",
		"in chunks":  "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n" + long + "\r\n0\r\n\r\n",
		"XML-RPC":    post("/RPC2", "text/xml", long),
	} {
		_, r := talk(t, addr, strings.Replace(text, "\r\n", "\r\nOrigin: https://good.example\r\nX-Request-Id: mine\r\n", 1))
		res, body := answer(t, r, "POST")
		var p struct{ Status int }
		if err := json.Unmarshal([]byte(body), &p); err != nil || res.StatusCode != 413 || p.Status != 413 || !strings.Contains(body, "larger than 30 bytes") ||
			!strings.Contains(body, `"request_id":"mine"`) || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %v %s", what, res.StatusCode, res.Header, body)
		}
		if what != "XML-RPC" && res.Header.Get("Access-Control-Allow-Origin") != "https://good.example" {
			t.Errorf("%s: a page cannot read it: %v", what, res.Header)
		}
	}
	_, r := talk(t, addr, get("/metrics"))
	if _, text := answer(t, r, "GET"); !strings.Contains(text, `become_api_requests_total{request="Multiply",outcome="invalid"} 3`) {
		t.Error("it does not count")
	}
	_, r = talk(t, addr, post("/Multiply", asJSON, `{"x":1.5,"y":2.25}`))
	if _, body := answer(t, r, "POST"); body != good {
		t.Errorf("a short one: got %s", body)
	}
}

var hostileRows = []struct {
	what, send string
	status     int
	want       string // in the body
}{
	{"a query", get("/Multiply?x=1.5&y=2.25"), 200, good},
	{"a prefix", get("/a/b/Multiply?x=1.5&y=2.25"), 200, good},
	{"escapes", get("/Multiply?x=%31%2E5&y=+2.25"), 400, "y: must be a number"},
	{"escapes of all", get("/Multiply?%78=%31%2E5&y=2.25"), 200, good},
	{"the last of two", get("/Multiply?x=7&x=1.5&y=2.25"), 200, good},
	{"a missing field is its default", get("/Multiply?x=1.5"), 200, `"value":0`},
	{"no query at all", get("/Multiply"), 200, `"value":0`},
	{"a name without a value", get("/Multiply?x"), 400, "x: must be a number"},
	{"a whole number for a float", get("/Multiply?x=3&y=1"), 200, `"value":3}`},
	{"an exponent", get("/Multiply?x=1e400&y=1"), 400, "out of range"},
	{"not a number", get("/Multiply?x=NaN&y=1"), 422, "finite"},
	{"infinity", get("/Multiply?x=-Infinity&y=1"), 422, "finite"},
	{"not a number, as JSON", post("/Multiply", asJSON, `{"x":NaN}`), 400, `"kind":"invalid"`},
	{"an infinite answer", get("/Multiply?x=1e308&y=1e308"), 422, "is no number"},
	{"divided by zero", get("/Divide?x=1&y=0"), 422, "+Inf is no number"},
	{"zero divided by zero", get("/Divide?x=0&y=0"), 422, "NaN is no number"},
	{"whole numbers divided by zero", get("/Whole?x=1&y=0"), 500, "panicked"},
	{"an unknown request", get("/Nothing?x=1"), 404, "there is Divide, Gone, Hang, Multiply, Tree, Whole"},
	{"an unknown field", get("/Multiply?z=1"), 400, "z: there is no such field; there is x, y"},
	{"an unknown field, as JSON", post("/Multiply", asJSON, `{"z":1}`), 400, "z: there is no such field"},
	{"a wrong type", post("/Multiply", asJSON, `{"x":"1.5"}`), 400, "x: must be a number, not a text"},
	{"a part of a number", get("/Multiply?x=0x1p"), 400, "x"},
	{"a form", post("/Multiply", asForm, "x=1.5&y=2.25"), 200, good},
	{"plain JSON", post("/Multiply", asJSON, `{"x":1.5,"y":2.25}`), 200, good},
	{"an envelope", post("/Multiply", asJSON, `{"value":{"x":1.5,"y":2.25}}`), 200, good},
	{"a field twice in JSON", post("/Multiply", asJSON, `{"x":1,"x":1.5,"y":2.25}`), 400, "x"},
	{"a charset", post("/Multiply", "application/json; charset=utf-8", `{"x":1.5,"y":2.25}`), 200, good},
	{"another charset", post("/Multiply", "application/json; charset=latin1", `{}`), 415, "utf-8"},
	{"a picture", post("/Multiply", "image/png", `x`), 415, "application/json"},
	{"another method", "PUT /Multiply HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "GET and POST"},
	{"a method that is none", "BREW /Multiply HTTP/1.1\r\nHost: x\r\n\r\n", 405, "BREW"},
	{"lower case", "POST /Multiply HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n" + `{"x":1.5,"y":2.25}`, 200, good},
	{"chunks", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"x\":\r\nd;ext=1\r\n1.5,\"y\":2.25}\r\n0\r\nTrailer: 1\r\n\r\n", 200, good},
	{"broken chunks", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "the body cannot be read"},
	{"both a length and chunks", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, ""},
	{"two lengths", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, ""},
	{"a body of nothing", post("/Multiply", asJSON, ""), 400, "ends too early"},
	{"bad UTF-8 in JSON", post("/Tree", asJSON, "{\"any\":\"\xff\xfe\"}"), 400, "UTF-8"},
	{"bad UTF-8 in a query", get("/Tree?any=%ff"), 400, "UTF-8"},
	{"bad UTF-8 for a name", get("/Multiply?%ff=1"), 400, "there is no such field"},
	{"bad UTF-8 for a request", get("/%ff"), 404, "there is"},
	{"deep JSON", post("/Tree", asJSON, `{"any":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"}"), 400, "deep"},
	{"deep JSON without an end", post("/Tree", asJSON, `{"any":`+strings.Repeat(`{"a":`, 100_000)), 400, "deep"},
	{"something behind", post("/Multiply", asJSON, `{"x":1} {"x":2}`), 400, "something follows"},
	{"a gzip that is none", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 400, "the body cannot be read"},
	{"a handler that never answers", get("/Hang"), 504, "did not answer within 50ms"},
	{"a name of a megabyte", get("/" + strings.Repeat("a", 1<<20)), 404, `aaa...`},
	{"a longer header", get("/" + strings.Repeat("a", 2<<20)), 431, ""},
	{"no host", "GET /Multiply HTTP/1.1\r\n\r\n", 400, ""},
	{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n", 400, ""},
	{"another version", "GET / HTTP/9.0\r\nHost: x\r\n\r\n", 505, ""},
}

func TestAPI_Survives(t *testing.T) {
	addr, _ := calculate(t)
	for _, row := range hostileRows {
		c, r := talk(t, addr, row.send)
		t.Log(row.what) // which one it is, if there is no answer
		res, body := answer(t, r, "")
		if res.StatusCode != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s: got %d %.200s, want %d %s", row.what, res.StatusCode, body, row.status, row.want)
		}
		if kind := res.Header.Get("Content-Type"); strings.Contains(kind, "json") && !json.Valid([]byte(body)) {
			t.Errorf("%s: it is no JSON: %.200s", row.what, body)
		}
		if (row.status == 405) != (res.Header.Get("Allow") != "") {
			t.Errorf("%s: header %v", row.what, res.Header)
		}
		c.Close()
	}
	_, r := talk(t, addr, get("/Multiply?x=1.5&y=2.25"))
	if _, body := answer(t, r, ""); body != good {
		t.Errorf("afterwards: got %s", body)
	}
}

func TestAPI_KeepsToHTTP(t *testing.T) {
	addr, _ := calculate(t)
	ended := func(what string, r *bufio.Reader) {
		t.Helper()
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection goes on, %v", what, err)
		}
	}
	t.Run("pipelined requests are answered in order", func(t *testing.T) {
		var all strings.Builder
		for i := range 100 {
			fmt.Fprintf(&all, "GET /Multiply?x=%d&y=1 HTTP/1.1\r\nHost: x\r\n\r\n", i)
			if i%10 == 0 { // a body in between that is refused, and has to be passed over
				all.WriteString(post("/Nothing", asJSON, `{"x":1}`))
			}
		}
		_, r := talk(t, addr, all.String())
		for i := range 100 {
			if _, body := answer(t, r, ""); !strings.Contains(body, fmt.Sprintf(`{"value":%d}`, i)) {
				t.Fatalf("%d: got %s", i, body)
			}
			if i%10 == 0 {
				answer(t, r, "")
			}
		}
	})
	t.Run("HEAD has the header alone", func(t *testing.T) {
		_, r := talk(t, addr, strings.Replace(get("/Multiply?x=1.5&y=2.25"), "GET", "HEAD", 1)+get("/Multiply?x=1.5&y=2.25"))
		if res, body := answer(t, r, "HEAD"); res.ContentLength != int64(len(good)) || body != "" {
			t.Errorf("got %d, %q", res.ContentLength, body)
		}
		if _, body := answer(t, r, ""); body != good {
			t.Errorf("the next one: got %s", body)
		}
	})
	t.Run("HTTP/1.0 and Connection: close end it", func(t *testing.T) {
		for _, send := range []string{"GET /Multiply?x=1.5&y=2.25 HTTP/1.0\r\n\r\n", "GET /Multiply?x=1.5&y=2.25 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"} {
			_, r := talk(t, addr, send)
			if _, body := answer(t, r, ""); body != good {
				t.Errorf("got %s", body)
			}
			ended(send[:35], r)
		}
	})
	t.Run("a client that asks first is told to continue", func(t *testing.T) {
		c, r := talk(t, addr, "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n")
		if line, _ := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q", line)
		}
		r.ReadString('\n')
		io.WriteString(c, `{"x":1.5,"y":2.25}`)
		if _, body := answer(t, r, ""); body != good {
			t.Errorf("got %s", body)
		}
	})
	t.Run("and not when it would be in vain", func(t *testing.T) {
		for path, status := range map[string]int{"/Nothing": 404, "/Multiply": 413} {
			_, r := talk(t, addr, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 314572800\r\nExpect: 100-continue\r\n\r\n")
			if res, _ := answer(t, r, ""); res.StatusCode != status {
				t.Errorf("%s: got %d, want %d", path, res.StatusCode, status)
			}
			ended(path, r)
		}
	})
}

// zeros is a body that has no end of its own.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAPI_ALargeRequestTakesLittle(t *testing.T) {
	addr, _ := calculate(t)
	const size = 300 << 20
	for _, c := range []struct {
		what   string
		length int64
	}{{"that says so", size}, {"in chunks", -1}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := http.NewRequest("POST", "http://"+addr+"/Multiply", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = c.length
		r.Header.Set("Content-Type", asJSON)
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		switch {
		case err != nil: // what was sent after the answer broke the connection before it could be read
			t.Logf("a body %s: %v", c.what, err)
		case res.StatusCode != 413:
			t.Errorf("a body %s: got %d", c.what, res.StatusCode)
		default:
			res.Body.Close()
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
			t.Errorf("a body %s took %d MB", c.what, got>>20)
		}
	}
	var many bytes.Buffer
	many.WriteString("GET /Multiply?x=1.5&y=2.25 HTTP/1.1\r\nHost: x\r\n")
	for i := range 10_000 {
		fmt.Fprintf(&many, "X-%d: y\r\n", i)
	}
	_, rd := talk(t, addr, many.String()+"\r\n")
	if _, body := answer(t, rd, ""); body != good {
		t.Errorf("10,000 fields of the header: got %s", body)
	}
	c, rd := talk(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n")
	go func() { // ends with the connection
		for err := error(nil); err == nil; {
			_, err = c.Write(many.Bytes()[50:])
		}
	}()
	if res, _ := answer(t, rd, ""); res.StatusCode != 431 {
		t.Errorf("fields without an end: got %d", res.StatusCode)
	}
}

func TestAPI_SlowClientsDisturbNobody(t *testing.T) {
	addr, _ := calculate(t, APIOptions{Service: ServiceOptions{HeaderWithin: time.Second, ReadWithin: 2 * time.Second}})
	var slow sync.WaitGroup
	var refused atomic.Int32
	for i := range 200 {
		start := []string{"GET /Multiply HTTP/1.1\r\nHost: x\r\nX-Slow: ", "POST /Multiply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n "}[i%2]
		c, r := talk(t, addr, start)
		slow.Go(func() {
			defer c.Close()
			io.Copy(io.Discard, r) // until the server has had enough
			refused.Add(1)
		})
	}
	for range 100 {
		_, r := talk(t, addr, get("/Multiply?x=1.5&y=2.25"))
		if _, body := answer(t, r, ""); body != good {
			t.Fatalf("got %s", body)
		}
	}
	slow.Wait()
	if refused.Load() != 200 {
		t.Errorf("%d of 200 ended", refused.Load())
	}
}

func TestAPI_AClientThatIsGoneEndsItsRequest(t *testing.T) {
	addr, c := calculate(t)
	conn, _ := talk(t, addr, get("/Gone"))
	<-c.begun
	conn.(*net.TCPConn).SetLinger(0) // a reset
	conn.Close()
	if err := <-c.gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, r := talk(t, addr, get("/Multiply?x=1.5&y=2.25"))
	if _, body := answer(t, r, ""); body != good {
		t.Errorf("afterwards: got %s", body)
	}
}

func TestAPI_AnswersTenThousandAtOnce(t *testing.T) {
	// Over HTTP/2, with 200 requests on each connection: a test has not the files for more.
	const all, streams = 10_000, 200
	held := make(chan struct{})
	var inside atomic.Int32
	addr, _ := calculate(t, Handle(func(ctx context.Context, m struct{ N int }) (int, error) {
		if inside.Add(1) == all {
			close(held)
		}
		select {
		case <-held:
			return m.N, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}, RequestOptions{Name: "Gather", Timeout: time.Minute}))
	var wg sync.WaitGroup
	for group := range all / streams {
		wg.Go(func() {
			if err := askMany(addr, "/Gather?n=", group*streams, streams); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if inside.Load() != all {
		t.Errorf("%d of %d were answered", inside.Load(), all)
	}
	if code, body := fetchText(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+addr+"/Multiply?x=1.5&y=2.25"); body != good {
		t.Errorf("afterwards: got %d %s", code, body)
	}
}

// askMany sends requests for path and the numbers from first on, all on one connection of HTTP/2, and reads the answers, which are the
// numbers. Why by hand? The client of net/http has goroutines for each request, which take longer than the server that is tested.
func askMany(addr, path string, first, n int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	const data, headers, settings, resetStream, goAway, ended = 0, 1, 4, 3, 7, 1
	frame := func(b []byte, kind, flags byte, stream uint32, payload string) []byte {
		b = append(b, 0, byte(len(payload)>>8), byte(len(payload)), kind, flags)
		return append(binary.BigEndian.AppendUint32(b, stream), payload...)
	}
	send := frame([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, 0, 0, "")
	for i := range n {
		target := fmt.Sprint(path, first+i) // GET, http, a path, an authority, as RFC 7541 has them
		send = frame(send, headers, ended|4, uint32(2*i+1), "\x82\x86\x04"+string(rune(len(target)))+target+"\x01\x01x")
	}
	if _, err := c.Write(send); err != nil {
		return err
	}
	r, bodies := bufio.NewReader(c), make([]string, n)
	for left := n; left > 0; {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("%d answers are missing: %w", left, err)
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return err
		}
		i := int(binary.BigEndian.Uint32(head[5:])-1) / 2
		switch kind := head[3]; {
		case kind == resetStream, kind == goAway, kind == headers && payload[0] != 0x88: // 0x88 is 200
			return fmt.Errorf("request %d: got a frame of type %d, %q", i, kind, payload)
		case kind == data:
			bodies[i] += string(payload)
		}
		if (head[3] == data || head[3] == headers) && head[4]&ended != 0 {
			left--
		}
	}
	for i, body := range bodies {
		if want := fmt.Sprintf(`{"value":["crunch.int",%d,[]]}`+"\n", first+i); body != want {
			return fmt.Errorf("request %d: got %q, want %q", i, body, want)
		}
	}
	return nil
}

// fetchText asks by GET; in place of an answer it gives the error.
func fetchText(c *http.Client, url string) (code int, body string) {
	res, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err.Error()
	}
	return res.StatusCode, string(data)
}
