package examples_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// notes is asked as one does it with curl: alone by one server, on a node by two that are one.
func notes(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	other := addr
	if !p.alone {
		var end func()
		other, end = serving(t, p)
		defer end()
	}
	defer interrupt()
	a, b := "http://"+addr+"/notes", "http://"+other+"/notes"

	made := request(t, "PUT", a+"/milk", `{"title":"Milk"}`, "If-None-Match", "*")
	made.want(t, 201, `{"title":"Milk","text":"","tags":[],"done":false}`)
	request(t, "PUT", b+"/milk", `{"title":"Bread"}`, "If-None-Match", "*").want(t, 412, "there is an item")
	request(t, "GET", b+"/milk", "", "If-None-Match", made.etag).want(t, 304, "")
	bought := request(t, "PATCH", b+"/milk", `{"done":true}`, "If-Match", made.etag, "Content-Type", "application/merge-patch+json")
	bought.want(t, 200, `"done":true`)
	request(t, "DELETE", a+"/milk", "", "If-Match", made.etag).want(t, 412, "the item has changed")
	request(t, "GET", a+"/milk", "", "Accept", "application/xml").want(t, 200, "<Note><title>Milk</title><text></text><tags></tags><done>true</done></Note>")
	request(t, "POST", b, "title: A line of text\n", "Content-Type", "text/plain").want(t, 201, `"title":"A line of text"`)
	request(t, "GET", a+"?done=true", "", "Accept", "text/plain").want(t, 200, "milk\t{")
	request(t, "PUT", a+"/milk", `{"titel":"x"}`).want(t, 400, "titel: there is no such field; there is title, text, tags, done")
	request(t, "DELETE", a+"/milk", "", "If-Match", bought.etag).want(t, 204, "")
	request(t, "GET", b+"/milk", "").want(t, 404, "there is no such item")
	race(t, a, b)
}

// race lets two writers count up in one note, each in what it saw last.
func race(t *testing.T, a, b string) {
	const each = 25
	request(t, "PUT", a+"/count", `{"title":"0"}`).want(t, 201, "")
	var both sync.WaitGroup
	for _, url := range []string{a + "/count", b + "/count"} {
		both.Go(func() {
			for done := 0; done < each; {
				now := request(t, "GET", url, "")
				var note struct{ Title string }
				if err := json.Unmarshal([]byte(now.body), &note); err != nil {
					t.Errorf("got %s, %v", now.body, err)
					return
				}
				n, _ := strconv.Atoi(note.Title)
				switch next := request(t, "PUT", url, `{"title":"`+strconv.Itoa(n+1)+`"}`, "If-Match", now.etag); next.status {
				case 200:
					done++
				case 412: // the other one was faster
				default:
					t.Errorf("got %d %s", next.status, next.body)
					return
				}
			}
		})
	}
	both.Wait()
	request(t, "GET", a+"/count", "").want(t, 200, `"title":"`+strconv.Itoa(2*each)+`"`)
}

type answered struct {
	status     int
	etag, body string
}

// request asks, with JSON unless the header says otherwise.
func request(t *testing.T, method, url, body string, header ...string) (a answered) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return a
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return a
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return answered{res.StatusCode, res.Header.Get("Etag"), string(data)}
}

func (a answered) want(t *testing.T, status int, text string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Errorf("got %d %s, want %d, %s", a.status, a.body, status, text)
	}
}
