package web

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
)

// New returns an API's door for HTTP.
func New(a *api.API, opts *Options) http.Handler {
	return &door{api: a, opts: opts.withDefaults()}
}

type door struct {
	api   *api.API
	opts  Options
	once  sync.Once
	pages pages
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.crossOrigin(w, r) {
		return
	}
	if d.describes(w, r) {
		return
	}
	h, err := d.api.Find(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if err != nil {
		problem.Write(w, err)
		return
	}
	in, err := d.read(r, h)
	if err != nil {
		problem.Write(w, err)
		return
	}
	timeout := d.api.Timeout(h)
	if timeout == 0 {
		reply, err := d.api.Call(r.Context(), h, in)
		d.answer(w, r, reply, err)
		return
	}
	d.within(w, r, h, in, timeout)
}

// within answers in any case when the time is over, even if the handler does not return: not by running each
// handler on a goroutine of its own, but by a timer that answers in its place.
func (d *door) within(w http.ResponseWriter, r *http.Request, h *api.Handler, in reflect.Value, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	var mu sync.Mutex
	answered := false
	first := func() bool {
		mu.Lock()
		defer mu.Unlock()
		was := answered
		answered = true
		return !was
	}
	over := make(chan struct{})
	late := time.AfterFunc(timeout+lateBy, func() {
		defer close(over)
		if first() {
			w.Header().Set("Connection", "close") // the handler still has it
			problem.Write(w, fault.Text(fault.Deadline, "answer", h.Name, "the handler did not answer within "+timeout.String()))
			http.NewResponseController(w).Flush()
		}
	})
	reply, err := d.api.Call(ctx, h, in)
	if !late.Stop() {
		<-over
	}
	if first() {
		d.answer(w, r, reply, err)
	}
}

// lateBy is how long a handler has to notice that its context has ended.
const lateBy = 50 * time.Millisecond

// crossOrigin does what browsers want that call from another origin, and reports whether that was all.
func (d *door) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && d.opts.Origins != nil {
		for _, o := range d.opts.Origins {
			if o == "*" || o == origin {
				w.Header().Set("Access-Control-Allow-Origin", o)
				w.Header().Add("Vary", "Origin")
			}
		}
	}
	if r.Method != http.MethodOptions {
		return false
	}
	h := w.Header()
	h.Set("Allow", allowed)
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, X-Request-Id, Traceparent")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
