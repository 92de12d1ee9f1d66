package become

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/origin"
	"github.com/universal-server/become/talk/door/problem"
	"github.com/universal-server/become/talk/door/session"
	"github.com/universal-server/become/talk/door/web"
	"github.com/universal-server/become/talk/door/xmlrpc"
)

// RequestOptions are one request's own wishes. The zero value means the defaults.
type RequestOptions struct {
	// Name of the request. Default: the message's Go type.
	Name string
	// Doc says what it does, in a sentence.
	Doc string
	// Timeout goes before APIOptions.Timeout. Negative means none.
	Timeout time.Duration
	// Replies are values of the types that a handler may answer with whose answer is an interface.
	Replies []any
}

// APIOptions are an API's own wishes; they are given among its parts. The zero value means the defaults.
type APIOptions struct {
	// Doc says what the API is for; Version is its own, "1.2".
	Doc, Version string
	// Timeout bounds each request. Default 30 s; negative: none.
	Timeout time.Duration
	// MaxRequests is how many handlers run at once in a process. Default 10,000.
	MaxRequests int
	// MaxBody is how large a request's body may be. Unit: bytes. Default 1 MiB.
	MaxBody int64
	// Origins are the origins whose pages may call, in browsers, "*" for any (CORS). Default: none but its own. A page of another one can
	// neither read an answer nor send a request.
	Origins []string
	// Observe says where it tells how it is: /metrics, /healthz and /readyz.
	Observe ObserveOptions
	// Sessions are those of its sessions.
	Sessions SessionOptions
	// Service are those of the service that it is.
	Service ServiceOptions
}

// APIPart is what an API is made of: see [Handle], [Methods], [PerSession], [Resource], [Route], [Around] and [APIOptions].
type APIPart interface{ addTo(*apiParts) }

type apiParts struct {
	handlers []*api.Handler
	classes  []*api.Class
	sessions *session.Door
	observer *observer
	routes   []route
	settings any

	resources []resource
	arounds   []around

	opts APIOptions
	err  error // the first
}

func (o APIOptions) addTo(p *apiParts) { p.opts = o }

// Request is a typed request with the handler that answers it.
type Request struct {
	handler *api.Handler
	err     error
}

func (r Request) addTo(p *apiParts) {
	p.handlers = append(p.handlers, r.handler)
	if p.err == nil {
		p.err = r.err
	}
}

// Handle makes a request of a function: In, a struct, is the message, and its Go type names the request; Out is what is
// answered. See package message for what both may be made of, and what tags say. A handler that fails or panics
// fails its request alone. What is wrong with it is said by [Serve].
func Handle[In, Out any](f func(ctx context.Context, m In) (Out, error), opts ...RequestOptions) Request {
	var o RequestOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	own := o.handler()
	h, err := api.Handle(f, &own)
	return Request{h, err}
}

type route struct {
	pattern string
	handler http.Handler
}

func (r route) addTo(p *apiParts) { p.routes = append(p.routes, r) }

type settingsPart struct{ settings any }

func (s settingsPart) addTo(p *apiParts) { p.settings = s.settings }

// Settings gives an API its settings: a pointer to a struct, as in [ServiceOptions]. An API without has a
// [HostPort]; embed one in yours.
func Settings(settings any) APIPart { return settingsPart{settings} }

// Route puts any handler beside an API, under a pattern of [http.ServeMux].
func Route(pattern string, h http.Handler) APIPart { return route{pattern, h} }

// API is a service of typed requests, reached in several ways at one port:
//
//	GET /Multiply?x=1.5&y=2.25         POST /Multiply, a form or JSON
//	POST /RPC2                         XML-RPC
//	ws://                              sessions over WebSocket, at any path that no Route has
//	GET, PUT, … /notes/milk            a Resource and its items
//	GET /                              a page to read, and to try it on
//	GET /openapi.json                  OpenAPI 3.1
//	GET /metrics, /healthz, /readyz    how it is, see ObserveOptions
//
// A socket that is named web, rest, xmlrpc or session, as with --listen xmlrpc=127.0.0.1:8000, has that door only; all others have all.
//
// See the packages talk/door/web, talk/door/xmlrpc and talk/door/session for what they promise.
func API(name string, parts ...APIPart) *Server {
	p := &apiParts{}
	for _, part := range parts {
		if part != nil {
			part.addTo(p)
		}
	}
	handler, a, err := p.handler(name)
	if err != nil { // Serve says so
		return newServer(name, service.Listeners, false, nil, func(ServiceOptions) func(context.Context, service.Sockets) error {
			return func(context.Context, service.Sockets) error { return err }
		})
	}
	s := requests(name, p.surrounded(handler), p.tooLarge(a), p.serviceOptions())
	s.doc = p.opts.Doc
	p.lives(s, a)
	s.service.Join = joins(a)
	return s
}

// tooLarge answers what the service's limit of bodies, of who runs it, lets no door see, as the doors answer what is beyond theirs.
func (p *apiParts) tooLarge(a *api.API) func(http.ResponseWriter, *http.Request, *http.MaxBytesError) {
	callers := origin.Policy{Origins: p.opts.Origins}
	return func(w http.ResponseWriter, r *http.Request, err *http.MaxBytesError) {
		callers.Allow(w, r)
		a.Refuse(edge.Mark(w, r), path.Base(r.URL.Path), err)
		problem.Write(w, err)
	}
}

// serviceOptions are those of the service, with its settings.
func (p *apiParts) serviceOptions() ServiceOptions {
	o := p.opts.Service
	if p.settings != nil {
		o.Settings = p.settings
	}
	if o.Settings == nil {
		host, port, _ := net.SplitHostPort(DefaultListen)
		number, _ := strconv.Atoi(port)
		o.Settings = &HostPort{host, number}
	}
	return o
}

// handler puts the doors on one port.
func (p *apiParts) handler(name string) (http.Handler, *api.API, error) {
	if p.err != nil {
		return nil, nil, p.err
	}
	p.observer = newObserver(p.opts.Observe)
	a, err := api.New(name, p.handlers, &api.Options{
		Doc: p.opts.Doc, Version: p.opts.Version, Timeout: p.opts.Timeout, MaxRequests: p.opts.MaxRequests,
		Classes: p.classes, Meter: p.observer.metrics, Logger: slogs.Default(),
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := a.Find(strings.TrimPrefix(rpcPath, "/")); err == nil {
		return nil, nil, fault.Text(fault.Conflict, "declare API", name, "XML-RPC is at "+rpcPath).WithHint("name that request otherwise")
	}
	p.observer.metrics.Cover(a)
	resources, described, err := p.makeResources(a)
	if err != nil {
		return nil, nil, err
	}
	requests := p.observer.before(a, web.New(a, &web.Options{
		MaxBody: p.opts.MaxBody, Origins: p.opts.Origins, Resources: described,
	}))
	door := p.withSessions(a, withResources(resources, requests))
	calls := edge.Traced(edge.Handler(xmlrpc.New(a, &xmlrpc.Options{MaxBody: p.opts.MaxBody, Origins: p.opts.Origins})))
	one := map[string]http.Handler{
		doorWeb: requests, doorXMLRPC: calls,
		doorREST:    withResources(resources, noDoor(http.StatusNotFound, "there is no such resource")),
		doorSession: p.withSessions(a, noDoor(http.StatusUpgradeRequired, "a session is a WebSocket")),
	}
	if len(p.routes) == 0 {
		return atSockets(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == rpcPath {
				calls.ServeHTTP(w, r)
				return
			}
			door.ServeHTTP(w, r)
		}), one), a, nil
	}
	mux := http.NewServeMux()
	mux.Handle("/", door)
	mux.Handle(rpcPath, calls)
	return atSockets(mux, one), a, p.addRoutes(name, mux)
}

const rpcPath = "/RPC2"

// addRoutes turns the panics of the mux, for patterns that are none, into an error.
func (p *apiParts) addRoutes(name string, mux *http.ServeMux) (err error) {
	at := ""
	defer func() {
		if r := recover(); r != nil {
			err = badRoute(name, at, r)
		}
	}()
	for _, one := range p.routes {
		if at = one.pattern; one.handler == nil {
			return badRoute(name, at, "it has no handler")
		}
		mux.Handle(one.pattern, edge.Route(one.handler))
	}
	return nil
}

func badRoute(name, pattern string, why any) error {
	return fault.Text(fault.Invalid, "declare API", name, fmt.Sprintf("the route %q: %v", pattern, why))
}
