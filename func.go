package become

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
)

// Options are a function's own wishes. The zero value means the defaults.
type Options struct {
	// Doc says what the function does, in a sentence, for become describe.
	Doc string
	// Timeout ends a task that takes longer. Default: none.
	Timeout time.Duration
	// Tries is how often a task is started at most. A call is started again when
	// its worker died or the function asked for it with RetryAfter; a job also when it
	// failed. Default 3.
	Tries int
	// Backoff is the wait before a failed job's second try; it doubles for each further
	// one, up to a minute. Default 100 ms.
	Backoff time.Duration
	// Slots is how many tasks of this function run at once in one worker process.
	// Default: as many as the worker has slots.
	Slots int
}

func (o Options) limits() bundle.Limits {
	return bundle.Limits{
		TimeoutMS: int64((o.Timeout + time.Millisecond - 1) / time.Millisecond),
		Tries:     o.Tries,
		BackoffMS: int64((o.Backoff + time.Millisecond - 1) / time.Millisecond),
		Slots:     o.Slots,
	}
}

// Function is a function that can be run on a fleet: by Call, Go, Map,
// MapOrdered and Submit. It is made by [Func] or [Named] and safe for use by
// several goroutines.
type Function[In, Out any] struct {
	name   string // within its bundle
	deploy string // name of the deployment it is looked up by; empty: this program's own
	limits bundle.Limits
	in     codec.Codec[In]
	out    codec.Codec[Out]
}

// Name returns the function's name.
func (f *Function[In, Out]) Name() string {
	if f.deploy != "" {
		return f.deploy + "." + f.name
	}
	return f.name
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// registry holds what this program offers.
var registry struct {
	mu       sync.Mutex
	funcs    []*native.Func
	services []service.Service // those that Serve was given
}

// Func makes f a function of this program that can be run anywhere in a
// fleet under name (letters, digits, '_' and '-'). Declare functions as package variables:
// boss and workers are the same program and must know the same ones. Func
// panics where [CheckFunc] would return an error.
func Func[In, Out any](name string, f func(context.Context, In) (Out, error), opts ...Options) *Function[In, Out] {
	fn, err := CheckFunc(name, f, opts...)
	if err != nil {
		panic(err)
	}
	return fn
}

// CheckFunc is [Func] for names and types that are not known to be good:
// fault.Invalid when the name has other characters or a type cannot travel,
// fault.Conflict when the name is taken.
func CheckFunc[In, Out any](name string, f func(context.Context, In) (Out, error), opts ...Options) (*Function[In, Out], error) {
	if !goodName.MatchString(name) {
		return nil, fault.Text(fault.Invalid, "declare function", fmt.Sprintf("%q", name), "a name is letters, digits, '_' and '-'")
	}
	if f == nil {
		return nil, fault.Text(fault.Invalid, "declare function", name, "it is nil")
	}
	for _, t := range []reflect.Type{reflect.TypeFor[In](), reflect.TypeFor[Out]()} {
		if err := codec.Check(t); err != nil {
			return nil, fault.New(fault.Invalid, "declare function", name, err)
		}
	}
	var o Options
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	fn := &Function[In, Out]{name: name, limits: o.limits(), in: codec.CBOR[In](), out: codec.CBOR[Out]()}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if slices.ContainsFunc(registry.funcs, func(n *native.Func) bool { return n.Export.Name == name }) {
		return nil, fault.Text(fault.Conflict, "declare function", name, "the program has a function of that name already")
	}
	registry.funcs = append(registry.funcs, &native.Func{
		Export: bundle.Export{
			Name: name, Doc: o.Doc, Limits: fn.limits,
			Input: codec.Schema(reflect.TypeFor[In]()), Output: codec.Schema(reflect.TypeFor[Out]()),
		},
		Call: erase(name, f),
	})
	return fn, nil
}

// Named returns a function of a deployed bundle, "deployment.function": it
// runs whatever stands behind the name at the moment of the call. The types
// are the caller's claim; a value that does not fit is an error of that call.
func Named[In, Out any](name string) (*Function[In, Out], error) {
	deploy, function, ok := strings.Cut(name, ".")
	if !ok || !goodName.MatchString(deploy) || !goodName.MatchString(function) {
		return nil, fault.Text(fault.Invalid, "name function", fmt.Sprintf("%q", name), "want <deployment>.<function>")
	}
	return &Function[In, Out]{name: function, deploy: deploy, in: codec.CBOR[In](), out: codec.CBOR[Out]()}, nil
}

// erase is the bridge from a typed function to one of bytes.
func erase[In, Out any](name string, f func(context.Context, In) (Out, error)) func(context.Context, engine.Format, []byte, []byte) ([]byte, error) {
	type form struct {
		in  codec.Codec[In]
		out codec.Codec[Out]
	}
	binary := form{codec.CBOR[In](), codec.CBOR[Out]()}
	text := form{codec.JSON[In](), codec.JSON[Out]()}
	return func(ctx context.Context, format engine.Format, input, dst []byte) ([]byte, error) {
		c := &binary
		if format == engine.JSON {
			c = &text
		}
		in, err := c.in.Decode(input)
		if err != nil {
			return dst, fault.New(fault.Invalid, "read argument of", name, plain(err))
		}
		out, err := f(ctx, in)
		if err != nil {
			return dst, err
		}
		answer, err := c.out.Append(dst, out)
		if err != nil {
			return dst, fault.New(fault.Invalid, "send answer of", name, plain(err))
		}
		return answer, nil
	}
}

// plain drops an error's type: a decoder's error says nothing to act on.
func plain(err error) error { return errors.New(err.Error()) }

func engineOfProgram() *native.Engine {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return native.New(registry.funcs)
}
