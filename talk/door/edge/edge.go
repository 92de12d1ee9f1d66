package edge

import (
	"context"
	"net/http"

	"github.com/universal-server/become/ground/trace"
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
