package web

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/origin"
	"github.com/universal-server/become/talk/door/problem"
)

// New returns an API's door for HTTP.
func New(a *api.API, opts *Options) http.Handler {
	d := &door{api: a, opts: opts.withDefaults()}
	d.callers = origin.Policy{
		Origins: d.opts.Origins, Methods: "GET, HEAD, POST", Expose: "X-Request-Id, Retry-After",
		Headers: "Authorization, Content-Type, Content-Encoding, X-Request-Id, Traceparent, Tracestate",
	}
	return edge.Traced(d)
}

type door struct {
	api   *api.API
	opts  Options
	once  sync.Once
	pages pages

	callers origin.Policy // web pages that may call
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := edge.Mark(w, r)
	if d.asked(w, r) {
		return
	}
	if d.describes(w, r) {
		return
	}
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	h, form, in, err := d.accept(r, name)
	if s := span.Of(ctx); s != nil && h != nil {
		s.Routed(r, "/"+h.Name)
		s.Method("become", d.api.Name, h.Name)
	}
	if err != nil {
		d.api.Refuse(ctx, name, err)
		problem.Write(w, err)
		return
	}
	d.api.Answer(ctx, h, in, &exchange{door: d, w: w, r: r, form: form})
}

// asked answers OPTIONS, and reports whether that was it.
func (d *door) asked(w http.ResponseWriter, r *http.Request) bool {
	d.callers.Allow(w, r)
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Allow", allowed)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// accept finds who is asked, for what and how.
func (d *door) accept(r *http.Request, name string) (h *api.Handler, f form, in reflect.Value, err error) {
	if d.callers.Uninvited(r) {
		return nil, f, in, problem.New(http.StatusForbidden, "a page of another origin may not call this")
	}
	if h, err = d.find(name); err != nil {
		return nil, f, in, err
	}
	if f, err = wants(r); err == nil {
		in, err = d.read(r, h)
	}
	return h, f, in, err
}

// find is API.Find, whose error names the resources too.
func (d *door) find(name string) (*api.Handler, error) {
	h, err := d.api.Find(name)
	missing, ok := errors.AsType[*fault.Error](err)
	if !ok || len(d.opts.Resources) == 0 {
		return h, err
	}
	var all []string
	for _, h := range d.api.Handlers() {
		all = append(all, h.Name)
	}
	for _, r := range d.opts.Resources {
		all = append(all, "/"+r.Name())
	}
	return nil, fault.Text(fault.NotFound, missing.Op, missing.ID, "there is "+strings.Join(all, ", "))
}
