package become

import (
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/metrics"
)

// ObserveOptions say where an API tells how it is. The zero value means the defaults. A [Route], a resource or a request at the
// same path goes before.
type ObserveOptions struct {
	// Metrics is where Prometheus finds the figures of this process; see package talk/metrics for what there is, and for
	// what several processes at one port mean. Default "/metrics"; "none" for nowhere.
	Metrics string
	// Health answers 200 while the process lives. Default "/healthz"; "none" for nowhere.
	Health string
	// Ready answers 200 while requests are welcome, and 503 when the service drains. Before it is ready no connection is
	// taken at all. Default "/readyz"; "none" for nowhere.
	Ready string
	// Socket is the name of the only socket at which they answer: admin for one served with --listen
	// admin=127.0.0.1:8081. Default: all.
	Socket string
}

// RequestID is the id of the request that a handler's context is of: that of the header field X-Request-Id, which the client may
// choose, or a new one. Answers and problems carry it. Empty outside of requests.
func RequestID(ctx context.Context) string { return trace.RequestID(ctx) }

// Inject sets the header fields that let the next server know what a handler's context is of: X-Request-Id, and the place in a trace
// (traceparent and tracestate, W3C Trace Context) if the client sent one. Requests by become's own clients have them.
func Inject(ctx context.Context, header http.Header) { trace.Inject(ctx, header.Set) }

// observer answers how an API is.
type observer struct {
	opts     ObserveOptions
	metrics  *metrics.Metrics
	sessions func() int
	life     atomic.Pointer[context.Context] // of the service: it ends when that drains. nil before it serves
}

func newObserver(opts ObserveOptions) *observer {
	o := &observer{opts: opts}
	for to, path := range map[*string]string{&o.opts.Metrics: "/metrics", &o.opts.Health: "/healthz", &o.opts.Ready: "/readyz"} {
		if *to == "" {
			*to = path
		}
	}
	m := &metrics.Options{Sessions: func() int { return o.sessions() }}
	if service.Kept() {
		m.Process = strconv.Itoa(os.Getpid())
	}
	o.metrics = metrics.New(m)
	return o
}

// before puts the observer before the door that takes all other paths.
func (o *observer) before(a *api.API, door http.Handler) http.Handler {
	answers := map[string]http.Handler{}
	for path, h := range map[string]http.Handler{o.opts.Metrics: o.metrics, o.opts.Health: http.HandlerFunc(o.health), o.opts.Ready: http.HandlerFunc(o.ready)} {
		if _, err := a.Find(strings.TrimPrefix(path, "/")); err != nil {
			answers[path] = h
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := answers[r.URL.Path]; h != nil && (o.opts.Socket == "" || o.opts.Socket == SocketName(r.Context())) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				edge.Mark(w, r)
				problem.Write(w, problem.New(http.StatusMethodNotAllowed, r.URL.Path+" is read, by GET").With("Allow", "GET, HEAD"))
				return
			}
			h.ServeHTTP(w, r)
			return
		}
		door.ServeHTTP(w, r)
	})
}

// serving says that the service serves as long as ctx lives.
func (o *observer) serving(ctx context.Context) { o.life.Store(&ctx) }

func (o *observer) health(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }

func (o *observer) ready(w http.ResponseWriter, _ *http.Request) {
	switch life := o.life.Load(); {
	case life == nil:
		say(w, http.StatusServiceUnavailable, "starting")
	case (*life).Err() == nil:
		say(w, http.StatusOK, "ok")
	default: // before anything else of the drain is seen
		say(w, http.StatusServiceUnavailable, "draining")
	}
}

func say(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}
