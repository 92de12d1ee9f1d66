package become

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/rest"
	"github.com/universal-server/become/talk/door/web"
)

// Item is a value that a [Store] keeps under an id, with its revision.
type Item[T any] = collection.Item[T]

// Store keeps the items of a [Resource]. It has three methods, Get, Swap and List; a database of yours becomes one by implementing
// them, and is one if it passes keep/collection/collectiontest. [MemoryStore] and [FleetStore] are here.
type Store[T any] = collection.Store[T]

// MemoryStore keeps items in this process, up to 256 MiB of them. They are gone with it, and other processes of the same
// service have their own: use it for what may be lost, in one process.
func MemoryStore[T any]() Store[T] { return new(collection.Memory[T]) }

// FleetStore keeps items on the fleet under a name: one collection for all programs that open it, kept as the fleet keeps
// its jobs. It joins the fleet at the first request, as [Connect] does; all without a config share one connection. Without any
// fleet the items are kept in this process, which a warning in the log says.
func FleetStore[T any](name string, config ...Config) Store[T] {
	s := &fleetStore[T]{name: name, at: shared}
	if len(config) > 0 {
		s.at = newJoined(config[len(config)-1])
	}
	return s
}

// shared is the connection of all stores without a config.
var shared = newJoined(Config{})

// joined is a fleet, once somebody has wanted it.
type joined struct {
	config Config

	turn  chan struct{} // held by who looks at the rest: a lock that a request waits for no longer than its context
	fleet *Fleet
	alone map[string]any // collections by their names, when the fleet is this process
}

func newJoined(c Config) *joined {
	return &joined{config: c, turn: make(chan struct{}, 1), alone: map[string]any{}}
}

// openItems opens a collection of the fleet, and joins it before, if nobody has.
func openItems[T any](ctx context.Context, j *joined, name string) (Store[T], error) {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "open collection", name, ctx.Err())
	}
	f, err := j.join(ctx)
	if err != nil {
		return nil, err
	}
	if !f.Alone() {
		items, err := collection.OpenStored[T](ctx, f.f.Bus(), name)
		if err != nil {
			return nil, err
		}
		return items, nil
	}
	// Why not on the bus of a fleet that is this process? Its revisions begin at one in each process; those of a Memory
	// never come again.
	if j.alone[name] == nil {
		j.alone[name] = MemoryStore[T]()
	}
	items, ok := j.alone[name].(Store[T])
	if !ok {
		return nil, fault.Text(fault.Conflict, "open collection", name, "it has items of another type")
	}
	return items, nil
}

func (j *joined) join(ctx context.Context) (*Fleet, error) {
	if j.fleet != nil {
		return j.fleet, nil
	}
	f, err := Connect(ctx, j.config)
	if err != nil {
		return nil, err
	}
	if f.Alone() && !j.config.Alone {
		slog.Warn("no fleet found: items are kept in this process", "hint", "start one with: become up")
	}
	j.fleet = f
	return f, nil
}

// fleetStore is a collection that is opened when it is wanted first.
type fleetStore[T any] struct {
	name  string
	at    *joined
	items atomic.Pointer[Store[T]]
}

func (s *fleetStore[T]) open(ctx context.Context) (Store[T], error) {
	if items := s.items.Load(); items != nil {
		return *items, nil
	}
	items, err := openItems[T](ctx, s.at, s.name)
	if err != nil {
		return nil, err
	}
	s.items.Store(&items)
	return items, nil
}

func (s *fleetStore[T]) Get(ctx context.Context, id string) (Item[T], error) {
	items, err := s.open(ctx)
	if err != nil {
		return Item[T]{}, err
	}
	return items.Get(ctx, id)
}

func (s *fleetStore[T]) Swap(ctx context.Context, id string, value *T, revision string) (Item[T], error) {
	items, err := s.open(ctx)
	if err != nil {
		return Item[T]{}, err
	}
	return items.Swap(ctx, id, value, revision)
}

func (s *fleetStore[T]) List(ctx context.Context, after string, limit int) ([]Item[T], error) {
	items, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return items.List(ctx, after, limit)
}

// ResourceOptions are one resource's own wishes. The zero value means the defaults; those of the API are in APIOptions.
type ResourceOptions struct {
	// Doc says what the items are, in a sentence.
	Doc string
	// MaxPage is how many items a page of the collection has at most. Default 1000.
	MaxPage int
	// RequireMatch refuses changes of items that exist without a condition: with it nobody overwrites by mistake what another client
	// has changed.
	RequireMatch bool
	// CacheControl goes with items and pages. Default "no-cache": whoever keeps them asks each time whether they are still true.
	CacheControl string
	// NewID makes the ids of items that are posted. Default: 26 letters and digits, in the order of their making.
	NewID func() string
	// Timeout goes before APIOptions.Timeout. Negative means none.
	Timeout time.Duration
}

// Resource is a collection of items at /NAME and /NAME/ID of an API, read and changed by GET, PUT, POST, PATCH and DELETE, with an ETag for
// each value: If-Match and If-None-Match are compare-and-swap. T, a struct, is what package message says. See
// package talk/door/rest for what it promises. What is wrong with it is said by [Serve].
func Resource[T any](name string, store Store[T], opts ...ResourceOptions) APIPart {
	var o ResourceOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	return resource{name, func(of APIOptions, m rest.Meter) (*rest.Resource, error) {
		if o.Timeout == 0 {
			o.Timeout = of.Timeout
		}
		return rest.New(name, store, &rest.Options{
			Doc: o.Doc, MaxBody: of.MaxBody, MaxPage: o.MaxPage, MaxRequests: of.MaxRequests, Timeout: o.Timeout,
			RequireMatch: o.RequireMatch, CacheControl: o.CacheControl, NewID: o.NewID, Origins: of.Origins, Meter: m, Logger: slogs.Default(),
		})
	}}
}

type resource struct {
	name string
	make func(APIOptions, rest.Meter) (*rest.Resource, error)
}

func (r resource) addTo(p *apiParts) { p.resources = append(p.resources, r) }

// makeResources makes the resources, which no request, no door and no other resource may be in the way of.
func (p *apiParts) makeResources(a *api.API) (map[string]*rest.Resource, []web.Described, error) {
	all := map[string]*rest.Resource{}
	var described []web.Described
	meter := p.observer.metrics.Named()
	for _, one := range p.resources {
		r, err := one.make(p.opts, meter)
		if err != nil {
			return nil, nil, err
		}
		_, notFound := a.Find(one.name)
		if all[one.name] != nil || notFound == nil || "/"+one.name == rpcPath {
			return nil, nil, fault.Text(fault.Conflict, "declare API", a.Name, "something else is at /"+one.name)
		}
		all[one.name] = r
		meter.Cover(r.Requests())
		described = append(described, r)
	}
	return all, described, nil
}

// withResources puts the resources before a door, each at its first path element.
func withResources(all map[string]*rest.Resource, door http.Handler) http.Handler {
	if len(all) == 0 {
		return door
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if one := all[first]; one != nil {
			one.ServeHTTP(w, r.WithContext(edge.Mark(w, r)))
			return
		}
		door.ServeHTTP(w, r)
	})
}

// Around puts something around all doors of an API at its port: who may come in, a log of requests. Of several the first is outermost. What asks for
// credentials is to let OPTIONS through: a browser asks by it, without any, whether a page of APIOptions.Origins may call.
func Around(wrap func(http.Handler) http.Handler) APIPart { return around(wrap) }

type around func(http.Handler) http.Handler

func (a around) addTo(p *apiParts) {
	if a != nil {
		p.arounds = append(p.arounds, a)
	}
}

// surrounded is a handler with all that is put around it.
func (p *apiParts) surrounded(h http.Handler) http.Handler {
	for i := len(p.arounds) - 1; i >= 0; i-- {
		h = p.arounds[i](h)
	}
	if len(p.arounds) > 0 {
		h = edge.Handler(h)
	}
	return h
}
