package web

import (
	"net/http"
	"strings"
	"sync"

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
	form, err := wants(r)
	if err != nil {
		problem.Write(w, err)
		return
	}
	in, err := d.read(r, h)
	if err != nil {
		problem.Write(w, err)
		return
	}
	d.api.Answer(r.Context(), h, in, func(reply api.Reply, err error, late bool) {
		if late {
			w.Header().Set("Connection", "close") // the handler still has it
		}
		d.answer(w, r, form, reply, err)
		if late {
			http.NewResponseController(w).Flush()
		}
	})
}

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
