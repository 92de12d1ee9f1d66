package js

import (
	"errors"
	"regexp"
	"strings"

	"github.com/dop251/goja"

	"github.com/universal-server/become/ground/fault"
)

// The longest stack that is sent; an endless recursion has thousands of lines.
const maxStackLines = 32

// The interpreter ends each frame with the number of its instruction.
var instruction = regexp.MustCompile(`(:\d+:\d+)\(\d+\)`)

var faultKinds = func() map[string]fault.Kind {
	kinds := make(map[string]fault.Kind)
	for k := fault.Internal; k <= fault.Denied; k++ {
		kinds[k.String()] = k
		kinds[strings.ReplaceAll(k.String(), " ", "_")] = k
	}
	return kinds
}()

// failure turns an error of the interpreter into one that can travel.
func (rt *runtime) failure(err error) error {
	switch e := err.(type) {
	case *goja.InterruptedError:
		rt.spoilt = true
		return errInterrupted
	case *goja.StackOverflowError:
		return rt.overflow(e)
	case *goja.Exception:
		return rt.thrown(e)
	}
	if errors.Is(err, errNeverSettles) {
		return fault.New(fault.Remote, "", "", err)
	}
	return err
}

func (rt *runtime) overflow(e *goja.StackOverflowError) error {
	rt.spoilt = true
	return &fault.Error{
		Kind:  fault.Remote,
		Err:   errors.New("RangeError: Maximum call stack size exceeded"),
		Stack: cleanStack(e.String()),
	}
}

// thrown is the error for what a script threw.
func (rt *runtime) thrown(ex *goja.Exception) error {
	return rt.thrownValue(ex.Value(), ex)
}

// thrownValue describes v, which a script threw or rejected a promise with. ex may be nil.
// Describing runs getters of the script, which may throw in turn.
func (rt *runtime) thrownValue(v goja.Value, ex *goja.Exception) error {
	e := &fault.Error{Kind: fault.Remote}
	if again := rt.vm.Try(func() { rt.describeThrown(e, v) }); again != nil || e.Err == nil {
		e.Err = errors.New("a value was thrown that cannot be described")
	}
	if e.Stack == "" && ex != nil {
		var lines []string
		for _, frame := range ex.Stack() {
			p := frame.Position()
			lines = append(lines, "\tat "+frame.FuncName()+" ("+p.String()+")")
			if len(lines) == maxStackLines {
				break
			}
		}
		e.Stack = strings.Join(lines, "\n")
	}
	return e
}

func (rt *runtime) describeThrown(e *fault.Error, v goja.Value) {
	e.Err = errors.New(rt.describe(v))
	obj, ok := v.(*goja.Object)
	if !ok {
		return
	}
	if kind, ok := faultKinds[text(obj.Get("kind"))]; ok {
		e.Kind = kind
	}
	if hint := text(obj.Get("hint")); hint != "" {
		e.Hint = hint
	}
	if stack := text(obj.Get("stack")); stack != "" {
		e.Stack = cleanStack(stack)
	}
}

// describe says in one line what was thrown: "TypeError: x is not a function", the
// message of an object that has one, and anything else as the console shows it.
func (rt *runtime) describe(v goja.Value) string {
	obj, ok := v.(*goja.Object)
	if !ok {
		if goja.IsString(v) {
			return v.String()
		}
		return rt.inspect(v)
	}
	message := text(obj.Get("message"))
	switch {
	case obj.ClassName() == "Error":
		name := text(obj.Get("name"))
		if name == "" {
			name = "Error"
		}
		if message == "" {
			return name
		}
		return name + ": " + message
	case message != "":
		return message
	}
	return rt.inspect(v)
}

// text returns v if it is a string, and "" otherwise.
func text(v goja.Value) string {
	if v == nil || !goja.IsString(v) {
		return ""
	}
	return v.String()
}

func cleanStack(stack string) string {
	lines := strings.SplitN(instruction.ReplaceAllString(stack, "$1"), "\n", maxStackLines+1)
	if len(lines) > maxStackLines {
		lines[maxStackLines] = "\t…"
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
