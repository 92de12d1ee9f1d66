package xmlrpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/xmlrpc"
)

type (
	Add    struct{ X, Y any }
	Divide struct{ X, Y float64 }
	Rich   struct {
		N     int64
		Blob  []byte
		When  time.Time
		Tags  []string
		Price map[string]float64
		Maybe *int
		Any   any
	}
	Slow  struct{}
	Huge  struct{ N big.Int }
	Ratio struct{ Value float64 }
)

// add works on numbers and texts, as the seed's does.
func add(_ context.Context, m Add) (any, error) {
	switch x := m.X.(type) {
	case float64:
		if y, ok := m.Y.(float64); ok {
			if sum := x + y; sum == float64(int(sum)) {
				return int(sum), nil
			}
			return x + y, nil
		}
	case string:
		if y, ok := m.Y.(string); ok {
			return x + y, nil
		}
	}
	return nil, fault.Text(fault.Invalid, "add", "", "want two numbers or two texts")
}

func handle[In, Out any](t testing.TB, f func(context.Context, In) (Out, error), o api.HandlerOptions) *api.Handler {
	h, err := api.Handle(f, &o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func start(t testing.TB) string {
	release := make(chan struct{})
	a, err := api.New("sums", []*api.Handler{
		handle(t, add, api.HandlerOptions{Name: "add", Doc: "adds two numbers, or two texts", Replies: []any{0, 0.0, ""}}),
		handle(t, func(_ context.Context, m Divide) (Ratio, error) { return Ratio{m.X / m.Y}, nil }, api.HandlerOptions{}),
		handle(t, func(_ context.Context, m Rich) (Rich, error) { return m, nil }, api.HandlerOptions{}),
		handle(t, func(_ context.Context, m Huge) (Huge, error) { return m, nil }, api.HandlerOptions{}),
		handle(t, func(context.Context, Slow) (int, error) { <-release; return 0, nil }, api.HandlerOptions{Timeout: 50 * time.Millisecond}),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/RPC2", xmlrpc.New(a, &xmlrpc.Options{MaxBody: 100_000}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	return s.URL
}

func call(t *testing.T, url, method string, params ...any) (any, error) {
	t.Helper()
	return xmlrpc.Call(t.Context(), nil, url, method, params...)
}

// object is one of names and values in turn.
func object(parts ...any) (o message.Object) {
	for i := 0; i < len(parts); i += 2 {
		o = append(o, message.Member{Name: parts[i].(string), Value: parts[i+1]})
	}
	return o
}

func TestDoor_AnswersTheClient(t *testing.T) {
	url := start(t)
	for _, c := range []struct {
		method string
		params []any
		want   any
	}{
		{"add", []any{int64(3), int64(5)}, int64(8)},
		{"add", []any{1.5, int64(1)}, 2.5},
		{"add", []any{"Hello", "World"}, "HelloWorld"},
		{"add", []any{message.Object{{Name: "x", Value: "a<&>"}, {Name: "y", Value: "\r\nä"}}}, "a<&>\r\nä"},
		{"Divide", []any{1.5, 2.25}, message.Object{{Name: "value", Value: 0.6666666666666666}}},
		{"Rich", []any{int64(1) << 40, []byte("abc"), time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), []any{"a"}, message.Object{{Name: "a", Value: 2.0}}, int64(7), true},
			object("n", int64(1)<<40, "blob", []byte("abc"), "when", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), "tags", []any{"a"}, "price", object("a", 2.0), "maybe", int64(7), "any", true)},
		{"system.listMethods", nil, []any{"Divide", "Huge", "Rich", "Slow", "add", "system.listMethods", "system.methodHelp", "system.methodSignature", "system.multicall"}},
		{"system.methodHelp", []any{"add"}, "adds two numbers, or two texts"},
		{"system.methodSignature", []any{"Divide"}, []any{[]any{"struct", "double", "double"}}},
		{"system.methodSignature", []any{"Rich"}, []any{[]any{"struct", "int", "base64", "dateTime.iso8601", "array", "struct", "int", "string"}}},
	} {
		got, err := call(t, url, c.method, c.params...)
		if err != nil {
			t.Errorf("%s: %v", c.method, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.method, diff)
		}
	}
}

func TestDoor_AnswersWithFaults(t *testing.T) {
	url := start(t)
	for _, c := range []struct {
		method string
		params []any
		want   string
	}{
		{"nosuch", nil, `fault 1: <not found>:method "nosuch" is not supported: cannot find request "nosuch": there is Divide`},
		{"add", []any{int64(1), "x"}, "fault 1: <invalid>:cannot add: want two numbers or two texts"},
		{"add", []any{int64(1), int64(2), int64(3)}, "add() takes 2 arguments, not 3: x, y"},
		{"Divide", []any{"one", 2.0}, "x: must be a number, not a text"},
		{"Divide", []any{message.Object{{Name: "x", Value: 1.0}, {Name: "z", Value: 1.0}}}, "z: there is no such field; there is x, y"},
		{"Divide", []any{1.0, 0.0}, "value: +Inf is no number"},
		{"Slow", nil, "fault 1: <deadline>:cannot answer Slow: the handler did not answer within 50ms"},
		{"Huge", []any{message.Object{{Name: "n", Value: "123456789012345678901234567890"}}}, "exceeds XML-RPC's limits"},
		{"system.nosuch", nil, "is not supported"},
		{"system.methodHelp", nil, "want one argument"},
		{"system.multicall", []any{int64(1)}, "want one argument, an array of calls"},
	} {
		_, err := call(t, url, c.method, c.params...)
		if f, ok := errors.AsType[*xmlrpc.Fault](err); !ok || !strings.Contains(f.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.method, err, c.want)
		}
	}
	many, err := call(t, url, "system.multicall", []any{
		message.Object{{Name: "methodName", Value: "add"}, {Name: "params", Value: []any{int64(1), int64(2)}}},
		message.Object{{Name: "methodName", Value: "system.multicall"}, {Name: "params", Value: []any{[]any{}}}},
		int64(7),
		message.Object{{Name: "methodName", Value: "Divide"}, {Name: "params", Value: []any{1.0, 0.0}}},
		message.Object{{Name: "methodName", Value: "Huge"}, {Name: "params", Value: []any{message.Object{{Name: "n", Value: "99999999999999999999"}}}}},
		message.Object{{Name: "methodName", Value: "add"}, {Name: "params", Value: []any{int64(2), int64(2)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if all := many.([]any); !strings.Contains(fmt.Sprint(all[3]), "cannot write answer") || !strings.Contains(fmt.Sprint(all[4]), "exceeds XML-RPC's limits") || fmt.Sprint(all[5]) != "[4]" {
		t.Errorf("answers that cannot be written: got %v", many)
	}
	if all := many.([]any); fmt.Sprint(all[0]) != "[3]" || !strings.Contains(fmt.Sprint(all[1]), "recursive") || !strings.Contains(fmt.Sprint(all[2]), "not supported") {
		t.Errorf("got %v", many)
	}
}

// post sends a body as it is.
func post(t *testing.T, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/RPC2", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestDoor_RefusesWhatIsNoCall(t *testing.T) {
	url := start(t)
	bomb := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><methodCall><methodName>&b;</methodName></methodCall>`
	deep := "<methodCall><methodName>add</methodName><params><param>" + strings.Repeat("<value><array><data>", 1000)
	for body, want := range map[string]string{
		"":     "not XML-RPC: unexpected EOF",
		"text": "is out of place",
		bomb:   "a document type is not allowed",
		deep:   "nested more than 100 levels deep",
		"<methodCall><methodName>add</methodName><params><param><value><int>x</int></value></param></params></methodCall>":             "invalid syntax",
		"<methodCall><methodName>add</methodName><params><param><value><boolean>2</boolean></value></param></params></methodCall>":     "bad boolean value",
		"<methodCall><methodName>add</methodName><params><param><value><color>red</color></value></param></params></methodCall>":       "there is no such type",
		"<methodCall><methodName>&nope;</methodName></methodCall>":                                                                     "invalid character entity",
		"<methodCall><methodName>add</methodName><params><value/></params></methodCall>":                                               "want &lt;param&gt;",
		`<?xml version="1.0" encoding="utf-16"?><methodCall/>`:                                                                         "is not known; want UTF-8",
		"<methodCall><methodName>add</methodName><params><param><value>x<int>1</int></value></param></params></methodCall>":            "text beside its type",
		"<methodCall><methodName>add</methodName><params><param><value><int>1</int><int>2</int></value></param></params></methodCall>": "out of place",
	} {
		status, answer := post(t, url, body)
		if status != 200 || !strings.Contains(answer, want) || !strings.Contains(answer, "<int>-32700</int>") {
			t.Errorf("%.80s: got %d %s, want %s", body, status, answer, want)
		}
	}
	if status, _ := post(t, url, strings.Repeat(" ", 100_001)); status != 413 {
		t.Errorf("a large call: got %d", status)
	}
	if status, answer := post(t, url, "x", "Content-Encoding", "br"); status != 415 || !strings.Contains(answer, `"status":415`) {
		t.Errorf("an unknown coding: got %d %s", status, answer)
	}
	if status, answer := post(t, url, "<methodCall/>", "Content-Type", "text/plain", "Origin", "http://evil.example"); status != 403 || !strings.Contains(answer, "another origin") {
		t.Errorf("a page of another origin: got %d %s", status, answer)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	if status, _ := post(t, url, packed.String(), "Content-Encoding", "gzip"); status != 413 {
		t.Errorf("a bomb: got %d", status)
	}
	if res, err := http.Get(url + "/RPC2"); err != nil || res.StatusCode != 405 || res.Header.Get("Allow") != "POST" || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("GET: %v, %v", res, err)
	}
}

func TestDoor_IsPythonsServer(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no python3")
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", script, start(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = `8
HelloWorld
2.5
{'value': 0.6666666666666666}
{'value': 3.0}
None b'abc' 2024-01-02 03:04:05
add() takes 2 arguments, not 1
3 7
[['struct', 'double', 'double']]
`
	if got := strings.ReplaceAll(string(out), "\r\n", "\n"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

const script = `
import sys, datetime, xmlrpc.client as x
s = x.ServerProxy(sys.argv[1], allow_none=True, use_builtin_types=True)
print(s.add(3, 5))
print(s.add("Hello", "World"))
print(s.add(1.5, 1))
print(s.Divide(1.5, 2.25))
print(s.Divide({"x": 6.0, "y": 2.0}))
r = s.Rich({"blob": b"abc", "when": datetime.datetime(2024, 1, 2, 3, 4, 5), "any": None, "maybe": None, "tags": ["a"] * 1000})
print(r.get("any"), r["blob"], r["when"])
try:
    s.add(1, 2, 3)
except x.Fault as f:
    print(f.faultString.split(": ")[1].replace("not 3", "not 1"))
m = x.MultiCall(s)
m.add(1, 2)
m.add(3, 4)
print(*m())
print(s.system.methodSignature("Divide"))
`

func TestCall_SpeaksToPythonsServer(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no python3")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-u", "-c", `
from xmlrpc.server import SimpleXMLRPCServer
s = SimpleXMLRPCServer(("127.0.0.1", 0), allow_none=True, logRequests=False)
s.register_function(lambda x, y: x + y, "add")
s.register_function(lambda x, y: x / y, "div")
print(s.server_address[1])
s.serve_forever()`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cancel()
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	if v, err := call(t, url, "add", int64(3), int64(5)); err != nil || v != int64(8) {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := call(t, url, "div", int64(1), int64(0)); err == nil || err.Error() != "fault 1: <class 'ZeroDivisionError'>:division by zero" {
		t.Errorf("got %v", err)
	}
	if _, err := call(t, url+"/elsewhere", "add"); fault.KindOf(err) != fault.Remote {
		t.Errorf("got %v", err)
	}
}

func TestCall_SaysWhatIsWrong(t *testing.T) {
	for _, address := range []string{"nowhere", "ftp://x", "http://", "::"} {
		if _, err := call(t, address, "add"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if _, err := call(t, "http://127.0.0.1:1", "add"); fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
	if _, err := call(t, "http://127.0.0.1:1", "add", "\x00"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

func FuzzDoor(f *testing.F) {
	a, err := api.New("sums", []*api.Handler{
		handle(f, func(_ context.Context, m Rich) (Rich, error) { return m, nil }, api.HandlerOptions{}),
	}, nil)
	if err != nil {
		f.Fatal(err)
	}
	door := xmlrpc.New(a, nil)
	f.Add([]byte("<methodCall><methodName>Rich</methodName><params><param><value><i8>1</i8></value></param></params></methodCall>"))
	f.Add([]byte("<methodCall><methodName>system.multicall</methodName><params><param><value><array><data></data></array></value></param></params></methodCall>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest("POST", "/RPC2", bytes.NewReader(body)))
		if w.Code != 200 || !strings.HasSuffix(w.Body.String(), "</methodResponse>\n") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// An answer is packed as at every door: by what the client says, and caches are told so.
func TestDoor_PacksForThoseWhoTakeIt(t *testing.T) {
	url := start(t)
	long := "<methodCall><methodName>add</methodName><params><param><value>" + strings.Repeat("x", 2000) +
		"</value></param><param><value>y</value></param></params></methodCall>"
	for accept, want := range map[string]string{"gzip": "gzip", "identity, gzip;q=0.5": "gzip", "gzip;q=0": "", "identity": "", "not-gzip": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/RPC2", strings.NewReader(long))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", accept)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.Header.Get("Content-Encoding") != want || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: got %v, %v", accept, res.Header, err)
		}
		if plain := bytes.Contains(body, []byte("xxx")); plain != (want == "") {
			t.Errorf("%s: got %.100q", accept, body)
		}
	}
}
