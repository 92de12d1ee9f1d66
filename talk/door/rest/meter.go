package rest

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// Meter is told of requests by their names, which are those of Resource.Requests, or "" for what is none of them. Its methods are called by
// several goroutines at the same time, and are to return at once.
type Meter interface {
	// Running is called with 1 when a request begins to be answered, and with -1 when it has been.
	Running(request string, change int)
	// Answered is called when the answer is there: an item, a page, or an error.
	Answered(request string, took time.Duration, err error)
	// Refused is called when there are too many requests under way for another.
	Refused(request string, err error)
}

// unmetered is nobody.
type unmetered struct{}

func (unmetered) Running(string, int)                   {}
func (unmetered) Answered(string, time.Duration, error) {}
func (unmetered) Refused(string, error)                 {}

// names are the requests that there are, by their methods. A HEAD is a GET.
type names struct{ onCollection, onItem map[string]string }

func namesOf(resource string) names {
	named := func(route string, methods ...string) map[string]string {
		all := map[string]string{}
		for _, m := range methods {
			all[m] = m + " " + route
		}
		all[http.MethodHead] = all[http.MethodGet]
		return all
	}
	return names{
		onCollection: named("/"+resource, http.MethodGet, http.MethodPost),
		onItem:       named("/"+resource+"/{id}", http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete),
	}
}

// Requests are the names of what can be asked for, as spans have them: GET /notes, POST /notes, GET /notes/{id}, …
func (s *Resource) Requests() []string {
	var all []string
	for _, of := range []map[string]string{s.names.onCollection, s.names.onItem} {
		all = append(all, slices.Compact(slices.Sorted(maps.Values(of)))...)
	}
	return all
}

// nameOf is the name of a request.
func (s *Resource) nameOf(r *http.Request) string {
	_, isItem, err := s.find(r.URL)
	switch {
	case err != nil:
		return ""
	case isItem:
		return s.names.onItem[r.Method]
	}
	return s.names.onCollection[r.Method]
}
