package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
)

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// Options of an API. Nil and zero mean the defaults.
type Options struct {
	// Doc says what the API is for; Version is its own, "1.2".
	Doc, Version string
	// Timeout bounds each request. Default 30 s; negative: none.
	Timeout time.Duration
	// MaxRequests is how many handlers run at once. Default 10,000.
	MaxRequests int
	// Classes are handlers that are methods; New adds them to the others.
	Classes []*Class
	// Meter is told of requests. Default: nobody is.
	Meter Meter
	// Logger gets panics, errors that are not the client's, handlers that are late, and each message at slogs.LevelObject. Default: none.
	Logger *slog.Logger
}

// API is a definition, ready to answer. It is safe for use by several goroutines.
type API struct {
	Name string
	opts Options

	handlers []*Handler
	byName   map[string]*Handler
	slots    chan struct{}              // holds an item for each handler that runs
	overdue  map[time.Duration]*overdue // by timeout
}

// New makes an API of handlers. fault.Invalid for a bad name, fault.Conflict when two handlers, or two
// types of replies, have one name.
func New(name string, handlers []*Handler, opts *Options) (*API, error) {
	const op = "declare API"
	a := &API{Name: name, byName: map[string]*Handler{}, overdue: map[time.Duration]*overdue{}}
	if opts != nil {
		a.opts = *opts
	}
	a.opts.setDefaults()
	a.slots = make(chan struct{}, a.opts.MaxRequests)
	if !goodName.MatchString(name) {
		return nil, fault.Text(fault.Invalid, op, fmt.Sprintf("%q", name), "a name is letters, digits, '_' and '-'")
	}
	handlers = slices.Clone(handlers)
	for _, c := range a.opts.Classes {
		handlers = append(handlers, c.handlers...)
	}
	replies := map[string]reflect.Type{}
	for _, h := range handlers {
		if h == nil {
			return nil, fault.Text(fault.Invalid, op, name, "a handler is nil")
		}
		if a.byName[h.Name] != nil {
			return nil, fault.Text(fault.Conflict, op, name, "two handlers answer "+h.Name)
		}
		for _, r := range h.Replies {
			is := r.Go()
			for is.Kind() == reflect.Pointer {
				is = is.Elem()
			}
			if other, ok := replies[r.Name()]; ok && other != is && is.Name() != "" {
				return nil, fault.Text(fault.Conflict, op, name, "two types of replies are named "+r.Name())
			}
			replies[r.Name()] = is
		}
		a.byName[h.Name] = h
		a.handlers = append(a.handlers, h)
		a.overdue[a.Timeout(h)] = &overdue{after: a.Timeout(h) + lateBy}
	}
	slices.SortFunc(a.handlers, func(x, y *Handler) int { return strings.Compare(x.Name, y.Name) })
	return a, nil
}

func (o *Options) setDefaults() {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxRequests <= 0 {
		o.MaxRequests = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Doc and Version are as in Options.
func (a *API) Doc() string { return a.opts.Doc }

// Version is the API's own.
func (a *API) Version() string { return a.opts.Version }

// Handlers returns all, in order of their names. The slice is the API's own.
func (a *API) Handlers() []*Handler { return a.handlers }

// Find returns the handler of a request. The error, of kind fault.NotFound, lists what there is.
func (a *API) Find(name string) (*Handler, error) {
	if h := a.byName[name]; h != nil {
		return h, nil
	}
	if len(a.handlers) == 0 {
		return nil, fault.Text(fault.NotFound, "find request", shown(name), "the API has none")
	}
	all := make([]string, len(a.handlers))
	for i, h := range a.handlers {
		all[i] = h.Name
	}
	return nil, fault.Text(fault.NotFound, "find request", shown(name), "there is "+strings.Join(all, ", "))
}

// shown bounds a name that may be anything.
func shown(name string) string {
	const most = 100
	if len(name) > most {
		name = name[:most] + "..."
	}
	return fmt.Sprintf("%q", name)
}

// Timeout is how long a request may take; 0: any time.
func (a *API) Timeout(h *Handler) time.Duration {
	d := a.opts.Timeout
	if h.timeout != 0 {
		d = h.timeout
	}
	return max(d, 0)
}

// Call runs a handler with a message, a settable value of its type, and returns what it answered. It returns
// when the handler does, however long that takes: the door answers a client whose deadline has passed.
//
// Errors are of the handler's kind, fault.Remote for one without; fault.Internal after a panic, fault.Busy when too
// many handlers run, fault.Deadline when it ended because of its context's deadline.
func (a *API) Call(ctx context.Context, h *Handler, in reflect.Value) (Reply, error) {
	select {
	case a.slots <- struct{}{}:
	default:
		return Reply{}, fault.Text(fault.Busy, "answer", h.Name, "too many requests are under way").WithHint("try again in a moment")
	}
	a.running(h, 1)
	defer func() { a.running(h, -1); <-a.slots }()
	out, returned, err := a.protected(ctx, h, in)
	r := Reply{}
	if err != nil {
		err = classified(h, err)
	} else {
		r, err = h.reply(out)
	}
	if err != nil && returned {
		a.tellFailed(ctx, h, err)
	}
	return r, err
}

func (a *API) protected(ctx context.Context, h *Handler, in reflect.Value) (out any, returned bool, err error) {
	defer func() {
		if returned {
			return
		}
		log := a.opts.Logger.With("api", a.Name, "request", h.Name, "request_id", trace.RequestID(ctx))
		p := recover()
		if p == nil {
			log.ErrorContext(ctx, "a handler ended its goroutine (runtime.Goexit)", "stack", string(debug.Stack()))
			return // and so do all that wait for it here: see Answer
		}
		log.ErrorContext(ctx, "a handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		err = fault.Text(fault.Internal, "answer", h.Name, "the handler panicked")
	}()
	out, err = h.call(ctx, in)
	return out, true, err
}

// classified gives an error of a handler a kind.
func classified(h *Handler, err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e != nil {
		return err
	}
	kind := fault.KindOf(err)
	if kind == fault.Internal {
		kind = fault.Remote
	}
	return fault.New(kind, "answer", h.Name, err)
}
