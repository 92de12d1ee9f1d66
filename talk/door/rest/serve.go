package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/door/problem"
)

// The methods that there are.
const (
	onItem       = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
	onCollection = "GET, HEAD, POST, OPTIONS"
)

// ServeHTTP answers requests for the collection and its items.
func (s *Resource) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.traced.ServeHTTP(w, r) }

func (s *Resource) request(w http.ResponseWriter, r *http.Request) {
	s.callers.Allow(w, r)
	name, begun := s.nameOf(r), time.Now()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		err := fault.Text(fault.Busy, "answer", s.name, "too many requests are under way").WithHint("try again in a moment")
		s.opts.Meter.Refused(name, err)
		problem.Write(w, err)
		return
	}
	if s.opts.Timeout > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), s.opts.Timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	s.opts.Meter.Running(name, 1)
	returned := false
	err := error(fault.Text(fault.Internal, "answer", s.name, "the store ended its goroutine (runtime.Goexit)"))
	defer func() {
		s.opts.Meter.Running(name, -1)
		s.opts.Meter.Answered(name, time.Since(begun), err)
		if !returned { // the server's goroutine ends here too: it sends nothing, and the connection ends with it
			s.tell(r, slog.LevelError, "a store ended its goroutine (runtime.Goexit)", slog.String("stack", string(debug.Stack())))
			w.Header().Set("Connection", "close")
			defer http.NewResponseController(w).Flush()
		}
		if err != nil {
			span.Of(r.Context()).Note(err)
			problem.Write(w, err)
		}
	}()
	err = s.guarded(w, r)
	returned = true
}

// guarded is serve with the panics of the store as errors.
func (s *Resource) guarded(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.tell(r, slog.LevelError, "a store panicked", slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			err = fault.Text(fault.Internal, "answer", s.name, "the store panicked")
		}
	}()
	if err = s.serve(w, r); err != nil && problem.Of(err).Status == http.StatusInternalServerError {
		s.tell(r, slog.LevelWarn, "a store failed", slog.Any("err", err))
	}
	return err
}

// tell logs what is wrong with the store, and by which request it was seen.
func (s *Resource) tell(r *http.Request, level slog.Level, text string, more ...slog.Attr) {
	s.opts.Logger.LogAttrs(r.Context(), level, text, append(more, slog.String("resource", s.name), slog.String("request_id", trace.RequestID(r.Context())))...)
}

func (s *Resource) serve(w http.ResponseWriter, r *http.Request) error {
	id, isItem, err := s.find(r.URL)
	if err != nil {
		return err
	}
	if t := span.Of(r.Context()); t != nil {
		t.Routed(r, s.route(isItem))
	}
	if s.callers.Forged(r) {
		return problem.Of(fault.Text(fault.Denied, "change", s.name, "a web page of another origin asks for it"))
	}
	if r.Method == http.MethodOptions {
		s.options(w, isItem)
		return nil
	}
	switch {
	case isItem && id == "": // links on its page would lead elsewhere
		w.Header().Set("Location", (&url.URL{Path: "/" + s.name, RawQuery: r.URL.RawQuery}).String())
		w.WriteHeader(http.StatusPermanentRedirect)
		return nil
	case isItem:
		return s.serveItem(w, r, id)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.list(w, r)
	case http.MethodPost:
		return s.create(w, r)
	}
	return notAllowed(r.Method, onCollection)
}

// route is where it is, for all of its items.
func (s *Resource) route(isItem bool) string {
	if isItem {
		return "/" + s.name + "/{id}"
	}
	return "/" + s.name
}

func (s *Resource) serveItem(w http.ResponseWriter, r *http.Request, id string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.get(w, r, id)
	case http.MethodPut:
		return s.put(w, r, id)
	case http.MethodPatch:
		return s.patch(w, r, id)
	case http.MethodDelete:
		return s.delete(w, r, id)
	}
	return notAllowed(r.Method, onItem)
}

func notAllowed(method, allow string) error {
	return problem.New(http.StatusMethodNotAllowed, method+" is not for this; there is "+allow).With("Allow", allow)
}

func (s *Resource) options(w http.ResponseWriter, isItem bool) {
	h := w.Header()
	if isItem {
		h.Set("Allow", onItem)
		h.Set("Accept-Patch", patches)
	} else {
		h.Set("Allow", onCollection)
		h.Set("Accept-Post", accepted)
	}
	w.WriteHeader(http.StatusNoContent)
}

// find takes a path apart: /notes, or /notes/ID.
func (s *Resource) find(u *url.URL) (id string, isItem bool, err error) {
	path := u.EscapedPath()
	rest, ok := strings.CutPrefix(path, "/"+s.name)
	switch {
	case ok && rest == "":
		return "", false, nil
	case !ok || rest[0] != '/' || strings.Contains(rest[1:], "/"):
		return "", false, problem.Of(fault.Text(fault.NotFound, "find", fmt.Sprintf("%.100q", path), "there is /"+s.name+" and /"+s.name+"/ID"))
	}
	id, err = url.PathUnescape(rest[1:])
	if err != nil {
		return "", false, problem.New(http.StatusBadRequest, "the path is not escaped as a path is")
	}
	return id, true, nil
}

// at is where an item is.
func (s *Resource) at(id string) string { return "/" + s.name + "/" + url.PathEscape(id) }
