package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/rest"
)

// servers are n servers that have nothing in common but the bus, behind a proxy that takes each request to the next one and
// wants a password.
func servers(t *testing.T, n int) client {
	bus := mem.New()
	var all []*url.URL
	for range n {
		b := bus.Connect()
		t.Cleanup(func() { b.Close() })
		s, err := collection.OpenStored[Note](t.Context(), b, "notes")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(serve(t, s, nil).url)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	var turn atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(all[int(turn.Add(1))%n]) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return client{t, server.URL}
}

var asMe = []string{"Authorization", "Basic bWU6c2VjcmV0"}

func TestResource_AnyServerWillDo(t *testing.T) {
	c := servers(t, 3)
	if a := c.put("/notes/a", `{"title":"1"}`); a.status != 401 {
		t.Errorf("without a password: %d", a.status)
	}
	tag := c.want(c.put("/notes/a", `{"title":"1"}`, asMe...), 201).header.Get("Etag")
	for i := range 10 {
		c.want(c.ask("GET", "/notes/a", "", append(asMe, "If-None-Match", tag)...), 304)
		next := c.want(c.put("/notes/a", `{"title":"`+strconv.Itoa(i)+`"}`, append(asMe, "If-Match", tag)...), 200).header.Get("Etag")
		c.want(c.put("/notes/a", `{"title":"lost"}`, append(asMe, "If-Match", tag)...), 412)
		tag = next
	}
	at := c.want(c.ask("POST", "/notes", `{"title":"new"}`, append(asMe, "Content-Type", asJSON)...), 201).header.Get("Location")
	for range 3 {
		c.want(c.ask("GET", at, "", asMe...), 200, `"title":"new"`)
		c.want(c.ask("GET", "/notes", "", asMe...), 200, `"title":"new"`, `"title":"9"`)
	}
}

// Writers count up in one note, on any server. Those that were too late try again: each step is there.
func TestResource_WritersThatRaceLoseNoUpdate(t *testing.T) {
	const writers, each = 4, 15
	c := servers(t, 2)
	c.want(c.put("/notes/n", `{"title":"0"}`, asMe...), 201)
	var all sync.WaitGroup
	var late atomic.Int64
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				now := c.ask("GET", "/notes/n", "", asMe...)
				var note Note
				if err := json.Unmarshal([]byte(now.body), &note); err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(note.Title)
				switch a := c.put("/notes/n", `{"title":"`+strconv.Itoa(n+1)+`"}`, append(asMe, "If-Match", now.header.Get("Etag"))...); a.status {
				case 200:
					done++
				case 412:
					late.Add(1)
				default:
					t.Errorf("got %d %s", a.status, a.body)
					return
				}
			}
		})
	}
	all.Wait()
	c.want(c.ask("GET", "/notes/n", "", asMe...), 200, `"title":"`+strconv.Itoa(writers*each)+`"`)
	t.Logf("%d were too late", late.Load())
}

// Without a condition each change is still made to what is there: patches of different fields are all kept.
func TestResource_PatchesThatRaceAreAllKept(t *testing.T) {
	c := serve(t, new(collection.Memory[Note]), &rest.Options{})
	for range 20 {
		c.put("/notes/n", `{"title":"T"}`)
		var all sync.WaitGroup
		for _, patch := range []string{`{"text":"x"}`, `{"done":true}`, `{"tags":["a"]}`, `{"by":{"name":"me"}}`} {
			all.Go(func() {
				c.want(c.ask("PATCH", "/notes/n", patch, "Content-Type", "application/merge-patch+json"), 200)
			})
		}
		all.Wait()
		c.want(c.ask("GET", "/notes/n", ""), 200, `{"title":"T","text":"x","done":true,"tags":["a"],"by":{"name":"me"}}`)
	}
}
