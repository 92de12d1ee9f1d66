package become

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/collection/collectiontest"
)

type thing struct{ Name string }

// doors are an API's, as its service has them.
func doors(t *testing.T, parts ...APIPart) http.Handler {
	t.Helper()
	p := &apiParts{}
	for _, part := range parts {
		part.addTo(p)
	}
	h, _, err := p.handler("things")
	if err != nil {
		t.Fatal(err)
	}
	return p.surrounded(h)
}

func told(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type Greet struct{ Name string }

func greet(_ context.Context, m Greet) (thing, error) { return thing{"hello " + m.Name}, nil }

func TestResource_StandsBesideTheRequests(t *testing.T) {
	const own = "things"
	for _, more := range [][]APIPart{nil, {Route("/static", http.NotFoundHandler())}} {
		h := doors(t, append(more, Handle(greet), Resource("things", MemoryStore[thing](), ResourceOptions{Doc: "what there is", NewID: func() string { return own }}))...)
		for _, c := range []struct {
			method, path, body, want string
			status                   int
		}{
			{"POST", "/things", `{"name":"a"}`, `{"name":"a"}`, 201},
			{"GET", "/things/things", "", `{"name":"a"}`, 200},
			{"GET", "/things", "", `"id":"things"`, 200},
			{"GET", "/Greet?name=a", "", "hello a", 200},
			{"GET", "/things/Greet", "", "no such item", 404},
			{"GET", "/thing", "", "there is Greet, /things", 404},
			{"GET", "/", "", `<a href="things">things</a>`, 200},
		} {
			if w := told(h, c.method, c.path, c.body); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%s %s: got %d %s", c.method, c.path, w.Code, w.Body)
			}
		}
		var described struct{ Paths map[string]map[string]any }
		if err := json.Unmarshal(told(h, "GET", "/openapi.json", "").Body.Bytes(), &described); err != nil {
			t.Fatal(err)
		}
		if described.Paths["/things"]["post"] == nil || described.Paths["/things/{id}"]["patch"] == nil || described.Paths["/Greet"] == nil {
			t.Errorf("described are %v", described.Paths)
		}
	}
}

func TestResource_WhatIsInTheWayIsSaid(t *testing.T) {
	good := Resource("Greet", MemoryStore[thing]())
	for want, parts := range map[string][]APIPart{
		"something else is at /Greet": {good, Handle(greet)},
		"is at /Greet":                {good, good},
		"is at /RPC2":                 {Resource("RPC2", MemoryStore[thing]())},
		"XML-RPC is at /RPC2":         {Handle(greet, RequestOptions{Name: "RPC2"})},
		"/own\": it has no handler":   {Route("/own", nil)},
		"a name is letters":           {Resource("a b", MemoryStore[thing]())},
		"it has no store":             {Resource[thing]("a", nil)},
	} {
		p := &apiParts{}
		for _, part := range parts {
			part.addTo(p)
		}
		if _, _, err := p.handler("things"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAround_TheFirstIsOutermost(t *testing.T) {
	var seen []string
	mark := func(name string) APIPart {
		return Around(func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, name)
				h.ServeHTTP(w, r)
			})
		})
	}
	h := doors(t, mark("a"), Handle(greet), mark("b"), Around(nil))
	if w := told(h, "GET", "/Greet", ""); w.Code != 200 || !slices.Equal(seen, []string{"a", "b"}) {
		t.Errorf("got %d, %v", w.Code, seen)
	}
}

func TestFleetStore_AloneIsAStoreOfThisProcess(t *testing.T) {
	config := Config{Alone: true}
	s := FleetStore[collectiontest.Value]("values", config)
	t.Cleanup(func() { s.(*fleetStore[collectiontest.Value]).at.fleet.Close() })
	collectiontest.Exercise(t, func(*testing.T) Store[collectiontest.Value] { return s })

	at := s.(*fleetStore[collectiontest.Value]).at
	other := &fleetStore[thing]{name: "values", at: at}
	if _, err := other.Get(t.Context(), "a"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a collection of another type: %v", err)
	}
	same := &fleetStore[collectiontest.Value]{name: "values", at: at}
	if _, err := same.List(t.Context(), "", 1); err != nil || *same.items.Load() != *s.(*fleetStore[collectiontest.Value]).items.Load() {
		t.Errorf("two collections have one name: %v", err)
	}
}

func TestFleetStore_WaitsForAFleetNoLongerThanItsContext(t *testing.T) {
	s := FleetStore[thing]("things", Config{Alone: true}).(*fleetStore[thing])
	s.at.turn <- struct{}{} // somebody else joins, for ever
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "a")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
