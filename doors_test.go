package become

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAPI_ASocketNamedAfterADoorHasThatOnly(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	type Twice struct{ X int }
	s := API("named",
		Handle(func(_ context.Context, m Twice) (int, error) { return 2 * m.X, nil }),
		Resource("notes", MemoryStore[Twice]()),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, w := net.Pipe()
	over := make(chan error, 1)
	args := []string{"--listen", "127.0.0.1:0"}
	for _, name := range []string{"web", "rest", "xmlrpc", "session", "other"} {
		args = append(args, "--listen", name+"=127.0.0.1:0")
	}
	go func() { over <- serveAlone(ctx, []*Server{s}, servicesOf([]*Server{s}), args, io.Discard, w) }()
	buf := make([]byte, 400)
	n, _ := r.Read(buf)
	_, text, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), ": serving on ")
	at := map[string]string{}
	for _, one := range strings.Fields(text) {
		name, addr, named := strings.Cut(one, "=")
		if !named {
			name, addr = "", one
		}
		at[name] = "http://" + addr
	}
	const call = "<methodCall><methodName>Twice</methodName><params><param><value><int>4</int></value></param></params></methodCall>"
	for name, want := range map[string][3]int{ // a request, a resource, a call by XML-RPC
		"": {200, 200, 200}, "other": {200, 200, 200}, "web": {200, 404, 404}, "rest": {404, 200, 404}, "xmlrpc": {405, 405, 200}, "session": {426, 426, 426},
	} {
		var got [3]int
		for i, ask := range []func() (*http.Response, error){
			func() (*http.Response, error) { return http.Get(at[name] + "/Twice?x=3") },
			func() (*http.Response, error) { return http.Get(at[name] + "/notes") },
			func() (*http.Response, error) {
				return http.Post(at[name]+"/RPC2", "text/xml", strings.NewReader(call))
			},
		} {
			res, err := ask()
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			got[i] = res.StatusCode
		}
		if got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
