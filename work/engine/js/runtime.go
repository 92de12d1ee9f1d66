package js

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	goruntime "runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Why 4000? The interpreter unwinds calls that passed through built-ins (map, sort, a
// getter) one panic at a time, in quadratic time: 0.4 s for 4000, 3 s for 10000.
const maxCalls = 4_000

//go:embed prelude.js
var preludeSource string

var prelude = sync.OnceValue(func() *goja.Program {
	return goja.MustCompile("prelude.js", preludeSource, true)
})

var errInterrupted = errors.New("interrupted")

// The script is a function body, so that its variables are its own; the opening stays
// on its first line to keep line numbers.
const (
	opening = "(function (exports, module) { "
	closing = "\n})"
)

func compile(name, source string) (*goja.Program, error) {
	program, err := compileText(name, opening+source+closing)
	if err == nil {
		return program, nil
	}
	if _, plain := compileText(name, source); plain != nil {
		err = plain // its columns on line 1 are right
	}
	return nil, syntaxError(err)
}

func compileText(name, source string) (*goja.Program, error) {
	tree, err := goja.Parse(name, source, parser.WithSourceMapLoader(noSourceMap))
	if err != nil {
		return nil, err
	}
	if usesProperties(source) {
		if err := expandLiterals(tree); err != nil {
			return nil, fmt.Errorf("SyntaxError: %w", err)
		}
	}
	return goja.CompileAST(tree, false)
}

// noSourceMap refuses maps that are not part of the source: without it the
// parser opens whatever file a comment names.
func noSourceMap(string) ([]byte, error) { return nil, nil }

func syntaxError(err error) error {
	if e, ok := errors.AsType[*goja.CompilerSyntaxError](err); ok {
		return errors.New("SyntaxError: " + strings.TrimPrefix(e.Error(), "SyntaxError: "))
	}
	return err
}

// export is one function of a script in one runtime.
type export struct {
	call   goja.Callable
	length int64
}

// runtime is one JavaScript world. It belongs to one goroutine at a time: the
// one that took it from the pool.
type runtime struct {
	vm        *goja.Runtime
	engine    *scriptEngine
	functions map[string]export
	loop      loop
	started   time.Time
	// spoilt: a call was stopped or panicked in here; never use it again.
	spoilt bool
	// rejected holds the promises rejected without a handler so far.
	rejected []*goja.Promise

	// The script may replace the globals; these are the originals.
	uint8Array, date, mapOf, rangeError *goja.Object
	mapSet, promiseResolve, isArray     goja.Callable
}

func newRuntime(e *scriptEngine) *runtime {
	rt := &runtime{vm: goja.New(), engine: e, functions: make(map[string]export), started: time.Now()}
	rt.vm.SetMaxCallStackSize(maxCalls)
	rt.vm.SetParserOptions(parser.WithDisableSourceMaps)
	rt.vm.SetPromiseRejectionTracker(rt.trackRejection)
	return rt
}

func (rt *runtime) trackRejection(p *goja.Promise, op goja.PromiseRejectionOperation) {
	if op == goja.PromiseRejectionReject {
		if len(rt.rejected) < 100 {
			rt.rejected = append(rt.rejected, p)
		}
		return
	}
	for i, q := range rt.rejected {
		if p == q {
			rt.rejected = append(rt.rejected[:i], rt.rejected[i+1:]...)
			return
		}
	}
}

// within runs f so that the end of ctx interrupts it, and turns whatever comes
// out of the interpreter into an error. When it returns, no interrupt is on its
// way any more.
func (rt *runtime) within(ctx context.Context, f func(ctx context.Context) error) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		rt.vm.Interrupt(errInterrupted)
		close(interrupted)
	})
	err := rt.guard(func() error { return f(ctx) })
	if !stop() {
		<-interrupted
		rt.spoilt = true
	}
	if errors.Is(err, errInterrupted) {
		rt.spoilt = true
		return ended(ctx)
	}
	return err
}

// guard runs f and returns its panics as errors.
func (rt *runtime) guard(f func() error) (err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *goja.InterruptedError:
			rt.spoilt = true
			err = errInterrupted
		case *goja.StackOverflowError:
			err = rt.overflow(x)
		default:
			rt.spoilt = true
			err = &fault.Error{
				Kind: fault.Internal, Op: "run", ID: rt.engine.opts.name(),
				Err:   fmt.Errorf("the interpreter panicked: %v", x),
				Stack: string(goruntime.Stack()),
			}
		}
	}()
	var inner error
	if ex := rt.vm.Try(func() { inner = f() }); ex != nil {
		return rt.thrown(ex)
	}
	return inner
}

// load builds the globals and runs the script's top level.
func (rt *runtime) load(ctx context.Context) error {
	if err := rt.install(); err != nil {
		return err
	}
	body, err := rt.vm.RunProgram(rt.engine.program)
	if err != nil {
		return rt.failure(err)
	}
	start, ok := goja.AssertFunction(body)
	if !ok {
		return errors.New("it is no function body")
	}
	module, exports := rt.vm.NewObject(), rt.vm.NewObject()
	_ = module.Set("exports", exports)
	rt.begin()
	_, err = start(exports, exports, module)
	rt.end()
	if err != nil {
		return rt.failure(err)
	}
	rt.collect(module.Get("exports"))
	return nil
}

// collect finds the functions among what the script exported.
func (rt *runtime) collect(exports goja.Value) {
	rt.addFunction("default", exports)
	obj, ok := exports.(*goja.Object)
	if !ok {
		return
	}
	for _, name := range obj.Keys() {
		rt.addFunction(name, obj.Get(name))
	}
}

func (rt *runtime) addFunction(name string, v goja.Value) {
	call, ok := goja.AssertFunction(v)
	if !ok || isClass(v) {
		return
	}
	length := int64(0)
	if n := v.(*goja.Object).Get("length"); n != nil {
		length = n.ToInteger()
	}
	rt.functions[name] = export{call: call, length: length}
}

func isClass(v goja.Value) bool {
	obj, ok := v.(*goja.Object)
	return ok && obj.ClassName() == "Function" && strings.HasPrefix(obj.String(), "class")
}

func (rt *runtime) begin() {
	rt.loop.reset()
	rt.rejected = rt.rejected[:0]
}

// end drops what a call left behind and tells of rejections nobody looked at. Not
// after a call was stopped: describing runs getters of the script, and the one
// interrupt that could stop them is spent.
func (rt *runtime) end() {
	rt.loop.reset()
	for _, p := range rt.rejected {
		if rt.spoilt {
			break
		}
		line := "Uncaught (in promise)"
		if ex := rt.vm.Try(func() { line += " " + rt.describe(p.Result()) }); ex != nil {
			line += " a value that cannot be described"
		}
		rt.engine.opts.log()("error", line)
	}
	clear(rt.rejected)
	rt.rejected = rt.rejected[:0]
}

// call decodes input, runs fn until its answer has settled and appends the answer to dst.
func (rt *runtime) call(ctx context.Context, fn export, format engine.Format, input, dst []byte) ([]byte, error) {
	value, err := rt.decode(format, input)
	if err != nil {
		return nil, err
	}
	rt.begin()
	defer rt.end()
	answer, err := fn.call(goja.Undefined(), rt.arguments(fn, value)...)
	if err != nil {
		return nil, rt.failure(err)
	}
	if answer, err = rt.settle(ctx, answer); err != nil {
		return nil, err
	}
	return rt.encode(ctx, format, answer, dst)
}

// arguments spreads an array over the parameters unless there is exactly one.
func (rt *runtime) arguments(fn export, value goja.Value) []goja.Value {
	if value == nil || fn.length == 0 && (goja.IsNull(value) || goja.IsUndefined(value)) {
		return nil
	}
	obj, ok := value.(*goja.Object)
	if !ok || fn.length == 1 || obj.ClassName() != "Array" {
		return []goja.Value{value}
	}
	var args []goja.Value
	rt.vm.ForOf(obj, func(v goja.Value) bool {
		args = append(args, v)
		return true
	})
	return args
}

// settle awaits the answer if it is a promise.
func (rt *runtime) settle(ctx context.Context, answer goja.Value) (goja.Value, error) {
	obj, ok := answer.(*goja.Object)
	if !ok {
		return answer, nil
	}
	if obj.ExportType() != promiseType {
		if _, ok := goja.AssertFunction(obj.Get("then")); !ok || obj.ClassName() != "Object" {
			return answer, nil
		}
		v, err := rt.promiseResolve(goja.Undefined(), obj)
		if err != nil {
			return nil, rt.failure(err)
		}
		obj = v.(*goja.Object)
	}
	p, ok := obj.Export().(*goja.Promise)
	if !ok {
		return answer, nil
	}
	for p.State() == goja.PromiseStatePending {
		if err := rt.loop.step(ctx); err != nil {
			return nil, rt.failure(err)
		}
	}
	rt.trackRejection(p, goja.PromiseRejectionHandle)
	if p.State() == goja.PromiseStateRejected {
		return nil, rt.thrownValue(p.Result(), nil)
	}
	return p.Result(), nil
}
