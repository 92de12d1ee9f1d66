package native

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Func is one Go function made callable with bytes.
type Func struct {
	Export bundle.Export
	// Call decodes input, runs the function and appends its answer to dst.
	Call func(ctx context.Context, format engine.Format, input, dst []byte) ([]byte, error)
}

// Engine runs the functions compiled into this program.
type Engine struct {
	funcs map[string]*Func
	names []string
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine of the given functions. Names are unique: the later
// of two replaces the earlier.
func New(funcs []*Func) *Engine {
	e := &Engine{funcs: make(map[string]*Func, len(funcs))}
	for _, f := range funcs {
		if e.funcs[f.Export.Name] == nil {
			e.names = append(e.names, f.Export.Name)
		}
		e.funcs[f.Export.Name] = f
	}
	slices.Sort(e.names)
	return e
}

// Lookup returns the function of that name.
func (e *Engine) Lookup(name string) (engine.Function, error) {
	f := e.funcs[name]
	if f == nil {
		return nil, fault.Text(fault.NotFound, "find function", name, "the program has "+strings.Join(e.names, ", "))
	}
	return f, nil
}

// Exports describes the functions in order of their names.
func (e *Engine) Exports() []bundle.Export {
	out := make([]bundle.Export, len(e.names))
	for i, name := range e.names {
		out[i] = e.funcs[name].Export
	}
	return out
}

// Close does nothing: the functions are part of the program.
func (e *Engine) Close() error { return nil }

// Limits are the options the function was declared with.
func (f *Func) Limits() bundle.Limits { return f.Export.Limits }

// Invoke runs the function and turns its panic into an error with its stack.
func (f *Func) Invoke(ctx context.Context, format engine.Format, input, dst []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer = dst
			err = &fault.Error{
				Kind: fault.Remote, Op: "run function", ID: f.Export.Name,
				Err: fmt.Errorf("panic: %v", p), Stack: string(debug.Stack()),
			}
		}
	}()
	return f.Call(ctx, format, input, dst)
}
