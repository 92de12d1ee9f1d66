package js

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Why 5 s? A top level defines functions; one that computes a table is still far below.
const loadTimeout = 5 * time.Second

// Options are the settings of an engine. The zero value and nil work.
type Options struct {
	// Name is what stacks and error texts call the script. Default "bundle.js".
	Name string
	// Slots is how many calls run at once. Defaults to the number of CPUs.
	Slots int
	// Memory is how many bytes one answer may take, encoded. The memory of the
	// process is the worker's to watch. Default 64 MiB.
	Memory int64
	// Log receives each line a script writes to its console; level is debug, info,
	// warn or error. It is called from the goroutines that call Invoke. Default: nothing.
	Log func(level, text string)
	// Limits are reported as the wishes of every function.
	Limits bundle.Limits
}

func (o *Options) name() string {
	if o == nil || o.Name == "" {
		return "bundle.js"
	}
	return o.Name
}

func (o *Options) slots() int {
	if o == nil || o.Slots < 1 {
		return goruntime.NumCPU()
	}
	return o.Slots
}

func (o *Options) memory() int {
	if o == nil || o.Memory < 1 {
		return 64 << 20
	}
	return int(o.Memory)
}

func (o *Options) log() func(level, text string) {
	if o == nil || o.Log == nil {
		return func(string, string) {}
	}
	return o.Log
}

func (o *Options) limits() bundle.Limits {
	if o == nil {
		return bundle.Limits{}
	}
	return o.Limits
}

var errClosed = errors.New("engine is closed")

// scriptEngine is one opened script and its pool of runtimes.
type scriptEngine struct {
	opts    *Options
	program *goja.Program
	// properties says that the source may use \p{…} in regular expressions.
	properties bool
	exports    []bundle.Export
	functions  map[string]*function
	slots      chan struct{} // one token per call that runs

	mu     sync.Mutex
	closed bool
	idle   []*runtime // the last one used is the last one in, and the first one out
}

var _ engine.Engine = (*scriptEngine)(nil)

// Open compiles source, runs its top level once and returns its functions.
// fault.Invalid: source is no JavaScript, its top level throws or takes longer
// than five seconds, or it exports no function.
func Open(source []byte, opts *Options) (engine.Engine, error) {
	e := &scriptEngine{
		opts:       opts,
		properties: usesProperties(string(source)),
		functions:  make(map[string]*function),
		slots:      make(chan struct{}, opts.slots()),
	}
	var err error
	if e.program, err = compile(opts.name(), string(source)); err != nil {
		return nil, fault.New(fault.Invalid, "open", opts.name(), err)
	}
	rt, err := e.start(context.Background())
	if err != nil {
		return nil, err
	}
	for name := range rt.functions {
		e.exports = append(e.exports, bundle.Export{Name: name, Limits: opts.limits()})
		e.functions[name] = &function{engine: e, name: name}
	}
	if len(e.exports) == 0 {
		return nil, fault.Text(fault.Invalid, "open", opts.name(), "it exports no function").
			WithHint("write exports.name = (n) => …, or export function name(n) {…} and prepare the file")
	}
	slices.SortFunc(e.exports, func(a, b bundle.Export) int { return strings.Compare(a.Name, b.Name) })
	e.idle = append(e.idle, rt)
	return e, nil
}

// Lookup returns the function of that name.
func (e *scriptEngine) Lookup(name string) (engine.Function, error) {
	if f, ok := e.functions[name]; ok {
		return f, nil
	}
	var names []string
	for _, x := range e.exports {
		names = append(names, x.Name)
	}
	return nil, fault.Text(fault.NotFound, "find function", name,
		"no such function; there are "+strings.Join(names, ", "))
}

// Exports lists the functions in order of their names.
func (e *scriptEngine) Exports() []bundle.Export { return slices.Clone(e.exports) }

// Close drops all runtimes.
func (e *scriptEngine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.idle = nil
	return nil
}

// acquire waits for a slot and returns a runtime that has loaded the script.
func (e *scriptEngine) acquire(ctx context.Context) (*runtime, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.slots
		return nil, fault.New(fault.Lost, "", "", errClosed)
	}
	if n := len(e.idle); n > 0 {
		rt := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return rt, nil
	}
	e.mu.Unlock()
	rt, err := e.start(ctx)
	if err != nil {
		<-e.slots
		return nil, err
	}
	return rt, nil
}

// release gives the slot back, and keeps the runtime unless a call spoilt it.
func (e *scriptEngine) release(rt *runtime) {
	e.mu.Lock()
	if !rt.spoilt && !e.closed {
		e.idle = append(e.idle, rt)
	}
	e.mu.Unlock()
	<-e.slots
}

// start makes a runtime and runs the script's top level in it.
func (e *scriptEngine) start(ctx context.Context) (*runtime, error) {
	limited, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	rt := newRuntime(e)
	err := rt.within(limited, rt.load)
	switch {
	case err == nil && !rt.spoilt:
		return rt, nil
	case ctx.Err() != nil:
		return nil, ended(ctx)
	case limited.Err() != nil:
		return nil, fault.Text(fault.Invalid, "open", e.opts.name(),
			"its top level did not end within "+loadTimeout.String())
	}
	return nil, &fault.Error{Kind: fault.Invalid, Op: "open", ID: e.opts.name(), Err: err}
}

// function is one exported function, in whichever runtime is free.
type function struct {
	engine *scriptEngine
	name   string
}

// Limits are those of the options.
func (f *function) Limits() bundle.Limits { return f.engine.opts.limits() }

// Invoke implements engine.Function.
func (f *function) Invoke(ctx context.Context, format engine.Format, input, dst []byte) ([]byte, error) {
	if format != engine.CBOR && format != engine.JSON {
		return nil, fault.Text(fault.Invalid, "call", f.name, "unknown format")
	}
	rt, err := f.engine.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer f.engine.release(rt)
	fn, ok := rt.functions[f.name]
	if !ok {
		return nil, fault.Text(fault.NotFound, "find function", f.name, "the script did not export it this time")
	}
	var out []byte
	err = rt.within(ctx, func(ctx context.Context) (err error) {
		out, err = rt.call(ctx, fn, format, input, dst)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ended is the error of a call whose context is over.
func ended(ctx context.Context) error {
	return fault.New(fault.KindOf(ctx.Err()), "", "", context.Cause(ctx))
}
