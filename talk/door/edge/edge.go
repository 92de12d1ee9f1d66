package edge

import (
	"context"
	"net/http"
	"strings"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
)

// As HTTP's header has them.
const (
	requestField = "X-Request-Id"
	parentField  = "Traceparent"
	stateField   = "Tracestate"
)

// Mark returns the context of a request with what the request is known by, and tells its client the id. A door that
// has no other use of a changed request saves one copy so.
func Mark(w http.ResponseWriter, r *http.Request) context.Context {
	ctx := r.Context()
	if trace.RequestID(ctx) != "" {
		return ctx
	}
	sent := r.Header[requestField]
	if len(sent) != 1 || !trace.GoodRequestID(sent[0]) {
		sent = []string{trace.NewRequestID()}
	}
	var place trace.Place
	if parent := r.Header[parentField]; len(parent) == 1 {
		place, _ = trace.Parse(parent[0], r.Header.Get(stateField))
	}
	w.Header()[requestField] = sent
	return trace.Mark(ctx, sent[0], place)
}

// Handler marks the requests of another.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(Mark(w, r))) })
}

// Traced opens a span for each request of a door, if anybody makes spans, and marks it. The door gives it a name that says more than the method,
// see span.Span.Routed; what it answers is in it.
func Traced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !span.On() {
			h.ServeHTTP(w, r)
			return
		}
		ctx, s := span.Request(Mark(w, r), r)
		out := &span.Writer{ResponseWriter: w}
		returned := false
		defer func() {
			switch {
			case !returned:
				s.Fail("panic", "the handler panicked")
				s.End(nil)
			case out.Status == 0: // as net/http has it
				s.Answered(http.StatusOK)
			default:
				s.Answered(out.Status)
			}
		}()
		h.ServeHTTP(out, r.WithContext(ctx))
		returned = true
	})
}

// Route marks and traces the requests of a handler behind an http.ServeMux: its pattern is the span's name.
func Route(h http.Handler) http.Handler {
	return Traced(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := span.Of(r.Context()); s != nil {
			if i := strings.IndexByte(r.Pattern, '/'); i >= 0 { // before it are a method and a host
				s.Routed(r, r.Pattern[i:])
			}
		}
		h.ServeHTTP(w, r.WithContext(Mark(w, r)))
	}))
}
