package rest

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/edge"
	"github.com/universal-server/become/talk/door/origin"
)

// Options of a resource. Nil and zero mean the defaults.
type Options struct {
	// Doc says what the items are, in a sentence.
	Doc string
	// MaxBody is how large an item may be as it is sent. Unit: bytes. Default 1 MiB.
	MaxBody int64
	// MaxPage is how many items a page of the collection has at most. Default 1000. Who does not say how many gets up to 100.
	MaxPage int
	// MaxRequests is how many requests are under way at once; another is answered with 503. Default 10,000.
	MaxRequests int
	// Timeout bounds what the store may take for a request. Default 30 s; negative: none.
	Timeout time.Duration
	// RequireMatch refuses changes of items that exist without If-Match or If-None-Match, with 428.
	RequireMatch bool
	// CacheControl goes with items and pages. Default "no-cache": whoever keeps them asks each time whether they are still true.
	CacheControl string
	// NewID makes the ids of items that are posted. Default: ids in the order of their making.
	NewID func() string
	// Origins are the origins whose web pages may call, "*" for any. Default: none but the server's own.
	Origins []string
	// Meter is told of requests. Default: nobody is.
	Meter Meter
	// Logger gets panics and failures of the store. Default: none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.MaxBody <= 0 {
		out.MaxBody = 1 << 20
	}
	if out.MaxPage <= 0 {
		out.MaxPage = 1000
	}
	if out.MaxRequests <= 0 {
		out.MaxRequests = 10_000
	}
	if out.Timeout == 0 {
		out.Timeout = 30 * time.Second
	}
	if out.CacheControl == "" {
		out.CacheControl = "no-cache"
	}
	if out.NewID == nil {
		out.NewID = NewID
	}
	if out.Meter == nil {
		out.Meter = unmetered{}
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

// Resource is a collection at /NAME and its items at /NAME/ID. It is an http.Handler for both, safe for use by several
// goroutines.
type Resource struct {
	name    string
	opts    Options
	item    *message.Type
	page    *message.Type
	store   store
	callers origin.Policy
	slots   chan struct{} // holds an item for each request under way
	names   names
	traced  http.Handler // answers, with a span
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// New makes a resource of a store. T is a struct; see package message for what it may be made of, and what tags say.
// fault.Invalid for a name that is none, a type that cannot be an item, or no store.
func New[T any](name string, s collection.Store[T], opts *Options) (*Resource, error) {
	const op = "declare resource"
	item := reflect.TypeFor[T]()
	switch {
	case !goodName.MatchString(name):
		return nil, fault.Text(fault.Invalid, op, fmt.Sprintf("%q", name), "a name is letters, digits, '_' and '-'")
	case s == nil:
		return nil, fault.Text(fault.Invalid, op, name, "it has no store")
	case item.Kind() != reflect.Struct:
		return nil, fault.Text(fault.Invalid, op, name, "an item is a struct, not a "+item.String())
	}
	r := &Resource{name: name, opts: opts.withDefaults(), store: typed[T]{s}}
	r.slots = make(chan struct{}, r.opts.MaxRequests)
	r.names = namesOf(name)
	r.traced = edge.Traced(http.HandlerFunc(r.request))
	r.callers = origin.Policy{
		Origins: r.opts.Origins, Methods: onItem + ", POST", Expose: "ETag, Link, Location, X-Request-Id, Retry-After",
		Headers: "Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, Prefer, X-Request-Id, Traceparent, Tracestate",
	}
	var err error
	if r.item, err = message.Of(item); err == nil {
		r.page, err = message.Of(reflect.TypeFor[Page[T]]())
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, op, name, err)
	}
	return r, nil
}

// Name is the resource's: it is at /NAME.
func (r *Resource) Name() string { return r.name }

// Doc is as in Options.
func (r *Resource) Doc() string { return r.opts.Doc }

// newIDs are written in the alphabet that keeps the order of bytes.
var newIDs = base32.HexEncoding.WithPadding(base32.NoPadding)

// NewID makes an id of 26 letters and digits that nobody has: the time in milliseconds and 80 random bits. Ids are in the order of
// their making, to the millisecond.
func NewID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	rand.Read(b[6:])
	return strings.ToLower(newIDs.EncodeToString(b[:]))
}
