package examples_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ownID is the id that a server gives a request.
var ownID = regexp.MustCompile(`"request_id":"[0-9a-f]{16}-[0-9]+"`)

// crunch is asked as the seed does it.
func crunch(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	for path, want := range map[string]string{
		"Multiply?x=1.5&y=2.25": `{"value":["crunch.Output",{"value":3.375},[]]}`,
		"Divide?x=1.5&y=2.25":   `{"value":["crunch.Output",{"value":0.6666666666666666},[]]}`,
		"Divide?x=1.5&y=0":      `{"title":"Unprocessable Entity","status":422,"detail":"cannot write answer: value: +Inf is no number that JSON has","kind":"invalid","request_id":"mine"}`,
		"Multiply":              `{"value":["crunch.Output",{"value":0},[]]}`,
		"Divide?x=1":            `{"title":"Unprocessable Entity","status":422,"detail":"y: it is required","kind":"invalid","errors":[{"path":"y","text":"it is required"}],"request_id":"mine"}`,
		"Multiply?z=1":          `{"title":"Bad Request","status":400,"detail":"z: there is no such field; there is x, y","kind":"invalid","errors":[{"path":"z","text":"there is no such field; there is x, y"}],"request_id":"mine"}`,
	} {
		if got := ownID.ReplaceAllString(get(t, "http://"+addr+"/"+path), `"request_id":"mine"`); got != want+"\n" {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if page := get(t, "http://"+addr+"/"); !strings.Contains(page, `data-request="Multiply"`) {
		t.Errorf("the page is %s", page)
	}
	if p.alone {
		tryPage(t, addr)
	}
	interrupt()
	settings := exec.Command(p.path, "--host=0.0.0.0", "--dump-settings")
	settings.Env = p.env
	got, err := settings.Output()
	if err != nil || string(got) != "{\n    \"value\": {\n        \"host\": \"0.0.0.0\",\n        \"port\": 5051\n    }\n}\n" {
		t.Errorf("the settings are %s, %v", got, err)
	}
}

// helloapp is a handler beside an API.
func helloapp(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	for path, want := range map[string]string{
		"foo/bar":        "Request method: GET\r\nResource      : /foo/bar\r\n",
		"Hello":          `{"value":["helloapp.Greeting",{"text":"hello world"},[]]}` + "\n",
		"Hello?name=you": `{"value":["helloapp.Greeting",{"text":"hello you"},[]]}` + "\n",
	} {
		if got := get(t, "http://"+addr+"/"+path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	interrupt()
}

// person has messages of all sorts.
func person(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	const ada = `{"give_name":"Ada","family_name":"Lovelace","dob":"1815-12-10T00:00:00Z","recent":[1,2.5],"tags":["y","x"],"hours":[[2,7.5],[1,8]],` +
		`"fortune":123456789012345678901234567890,"portrait":"AAEC","home":{"street":"a","town":"b"}}`
	const kept = `","give_name":"Ada","family_name":"Lovelace","dob":"1815-12-10T00:00:00Z","pronoun":"they","recent":[1,2.5],"tags":["x","y"],"hours":[[1,8],[2,7.5]],` +
		`"notice":"24h0m0s","fortune":123456789012345678901234567890,"portrait":"AAEC","home":{"street":"a","town":"b","country":"GB"}},[]]}`
	if got := post(t, "http://"+addr+"/Register", ada); !strings.Contains(got, kept) {
		t.Errorf("got %s, want %s", got, kept)
	}
	if got := get(t, "http://"+addr+"/Find?family_name=Lovelace"); !strings.HasPrefix(got, `{"value":["person.Person",{"person_id":"`) || !strings.Contains(got, kept) {
		t.Errorf("got %s, want %s", got, kept)
	}
	if got, want := get(t, "http://"+addr+"/Find?family_name=X"), `{"value":["person.Nobody",{"family_name":"X"},[]]}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wrong := post(t, "http://"+addr+"/Register", `{"give_name":"","dob":"yesterday","recent":[1,2,3,4,5,6],"home":{"country":"gb"},"pronoun":"it"}`)
	for _, want := range []string{
		"give_name: must have at least 1 character", "dob: must be a time", "recent: must have at most 5 elements", "home.country: must match",
		"pronoun: must be one of she, he, they", "family_name: it is required",
	} {
		if !strings.Contains(wrong, want) {
			t.Errorf("got %s, want %s", wrong, want)
		}
	}
	interrupt()
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// xmlrpc is asked by Python's own client.
func xmlrpc(t *testing.T, p program) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") == "1" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
	addr, interrupt := serving(t, p)
	const script = `
import sys, xmlrpc.client
s = xmlrpc.client.ServerProxy("http://" + sys.argv[1])
print(s.add(3, 5), s.add("Hello", "World"), s.add(0.5, 0.25), s.reverse("abc"))
print([m for m in s.system.listMethods() if "." not in m], s.system.methodHelp("add"))
try:
    s.add(3, "x")
except xmlrpc.client.Fault as e:
    print(e.faultString)
`
	out, err := exec.CommandContext(t.Context(), python, "-c", script, addr).CombinedOutput()
	want := "8 HelloWorld 0.75 cba\n['add', 'reverse'] Adds two numbers, or joins two texts.\n<invalid>:cannot add: want two numbers or two texts, not 3 and x\n"
	if err != nil || string(out) != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
	rawXMLRPC(t, addr)
	interrupt()
}

// rawXMLRPC sends the very bytes of Python's client, as of HTTP/1.0.
func rawXMLRPC(t *testing.T, addr string) {
	body := "<?xml version='1.0'?>\n<methodCall>\n<methodName>add</methodName>\n<params>\n<param>\n<value><int>3</int></value>\n</param>\n" +
		"<param>\n<value><int>5</int></value>\n</param>\n</params>\n</methodCall>\n"
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: 187\r\n\r\n%s", body)
	answer, err := io.ReadAll(c)
	if err != nil || len(body) != 187 || !strings.HasPrefix(string(answer), "HTTP/1.0 200 OK\r\n") ||
		!strings.Contains(string(answer), "\r\nContent-Type: text/xml\r\n") || !strings.Contains(string(answer), "<int>8</int>") {
		t.Errorf("to %d bytes got %s, %v", len(body), answer, err)
	}
}
