package js

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// Bounds on what one line of the console shows.
const (
	maxLine     = 64 << 10
	maxShown    = 100 // items of an array, keys of an object
	shownLevels = 2   // as Node: deeper is [Object]
	lineWidth   = 72
)

// consoleLog is console.log(...args) with a level.
func (rt *runtime) consoleLog(c goja.FunctionCall) goja.Value {
	args, ok := c.Argument(1).(*goja.Object)
	if !ok {
		return goja.Undefined()
	}
	var values []goja.Value
	rt.vm.ForOf(args, func(v goja.Value) bool {
		values = append(values, v)
		return true
	})
	line := rt.format(values)
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "…"
	}
	rt.engine.opts.log()(c.Argument(0).String(), line)
	return goja.Undefined()
}

// format joins the arguments as console.log does, %-verbs of the first included.
func (rt *runtime) format(values []goja.Value) string {
	var b strings.Builder
	if len(values) > 1 && goja.IsString(values[0]) && strings.Contains(values[0].String(), "%") {
		s := values[0].String()
		values = values[1:]
		for i := 0; i < len(s); i++ {
			if s[i] != '%' || i+1 == len(s) {
				b.WriteByte(s[i])
				continue
			}
			verb := s[i+1]
			if verb == '%' {
				b.WriteByte('%')
				i++
				continue
			}
			if len(values) == 0 || !strings.ContainsRune("sdifjoOc", rune(verb)) {
				b.WriteByte('%')
				continue
			}
			b.WriteString(rt.verb(verb, values[0]))
			values = values[1:]
			i++
		}
		if len(values) > 0 {
			b.WriteByte(' ')
		}
	}
	for i, v := range values {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > maxLine {
			break
		}
		if goja.IsString(v) {
			b.WriteString(v.String())
		} else {
			b.WriteString(rt.inspect(v))
		}
	}
	return b.String()
}

func (rt *runtime) verb(verb byte, v goja.Value) string {
	_, object := v.(*goja.Object)
	_, symbol := v.(*goja.Symbol)
	switch {
	case verb == 'c':
		return ""
	case verb == 's' && goja.IsString(v):
		return v.String()
	case (verb == 'd' || verb == 'i' || verb == 'f') && (object || symbol):
		return "NaN"
	case (verb == 'd' || verb == 'i') && goja.IsBigInt(v):
		return v.String() + "n"
	case verb == 'd' || verb == 'f':
		return v.ToNumber().String()
	case verb == 'i':
		f := math.Trunc(v.ToFloat())
		return rt.vm.ToValue(f).String()
	}
	return rt.inspect(v)
}

// inspect shows a value as Node's console does. Getters of the script run and may throw.
func (rt *runtime) inspect(v goja.Value) string {
	p := inspector{rt: rt}
	return p.value(v, 0)
}

type inspector struct {
	rt   *runtime
	open []*goja.Object
	size int
}

func (p *inspector) value(v goja.Value, level int) string {
	s := p.show(v, level)
	p.size += len(s)
	return s
}

func (p *inspector) show(v goja.Value, level int) string {
	switch x := v.(type) {
	case nil:
		return "undefined"
	case *goja.Symbol:
		return "Symbol(" + strings.TrimSuffix(strings.TrimPrefix(x.String(), "Symbol("), ")") + ")"
	case *goja.Object:
		return p.object(x, level)
	}
	switch {
	case goja.IsString(v):
		return quote(v.String())
	case goja.IsBigInt(v):
		return v.String() + "n"
	case goja.IsNumber(v) && v.ToFloat() == 0 && math.Signbit(v.ToFloat()):
		return "-0"
	}
	return v.String()
}

func quote(s string) string {
	mark := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, mark, `\`+mark).Replace(s)
	return mark + s + mark
}

func (p *inspector) object(obj *goja.Object, level int) string {
	for _, outer := range p.open {
		if outer == obj {
			return "[Circular]"
		}
	}
	p.open = append(p.open, obj)
	defer func() { p.open = p.open[:len(p.open)-1] }()

	switch obj.ClassName() {
	case "Function":
		return p.function(obj)
	case "Error":
		if stack := text(obj.Get("stack")); stack != "" {
			return cleanStack(stack)
		}
		return p.rt.describe(obj)
	case "RegExp":
		return obj.String()
	case "Date":
		if t, ok := obj.Export().(time.Time); ok && !t.IsZero() {
			return t.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		return "Invalid Date"
	case "Number", "Boolean", "String":
		return "[" + obj.ClassName() + ": " + obj.String() + "]"
	}
	if level > shownLevels {
		if obj.ClassName() == "Array" {
			return "[Array]"
		}
		return "[" + p.class(obj, "Object") + "]"
	}
	switch t := obj.ExportType(); {
	case obj.ClassName() == "Array":
		return p.list(obj, "", level)
	case t == setType || t == mapType:
		return p.collection(obj, t == mapType, level)
	case t == promiseType:
		return p.promise(obj, level)
	case t == bufferType:
		return "ArrayBuffer { byteLength: " + obj.Get("byteLength").String() + " }"
	case t != nil && t.Kind() == reflect.Slice:
		return p.list(obj, p.class(obj, "TypedArray")+"("+obj.Get("length").String()+") ", level)
	}
	return p.record(obj, level)
}

// class is the name of the constructor.
func (p *inspector) class(obj *goja.Object, otherwise string) string {
	if c, ok := obj.Get("constructor").(*goja.Object); ok {
		if name := text(c.Get("name")); name != "" {
			return name
		}
	}
	return otherwise
}

func (p *inspector) function(obj *goja.Object) string {
	kind := "Function"
	if isClass(obj) {
		kind = "class"
	}
	name := text(obj.Get("name"))
	switch {
	case kind == "class" && name == "":
		return "[class (anonymous)]"
	case kind == "class":
		return "[class " + name + "]"
	case name == "":
		return "[Function (anonymous)]"
	}
	return "[Function: " + name + "]"
}

func (p *inspector) list(obj *goja.Object, prefix string, level int) string {
	n := obj.Get("length").ToInteger()
	var items []string
	for i := range min(n, maxShown) {
		if p.size > maxLine {
			break
		}
		items = append(items, p.value(obj.Get(strconv.FormatInt(i, 10)), level+1))
	}
	if rest := n - int64(len(items)); rest > 0 {
		items = append(items, "... "+strconv.FormatInt(rest, 10)+" more items")
	}
	return prefix + wrap("[", items, "]", level)
}

func (p *inspector) collection(obj *goja.Object, pairs bool, level int) string {
	var items []string
	p.rt.vm.ForOf(obj, func(v goja.Value) bool {
		if len(items) == maxShown || p.size > maxLine {
			items = append(items, "...")
			return false
		}
		if pair, ok := v.(*goja.Object); ok && pairs {
			items = append(items, p.value(pair.Get("0"), level+1)+" => "+p.value(pair.Get("1"), level+1))
		} else {
			items = append(items, p.value(v, level+1))
		}
		return true
	})
	name := "Set"
	if pairs {
		name = "Map"
	}
	return name + "(" + obj.Get("size").String() + ") " + wrap("{", items, "}", level)
}

func (p *inspector) promise(obj *goja.Object, level int) string {
	promise := obj.Export().(*goja.Promise)
	switch promise.State() {
	case goja.PromiseStateFulfilled:
		return "Promise { " + p.value(promise.Result(), level+1) + " }"
	case goja.PromiseStateRejected:
		return "Promise { <rejected> " + p.value(promise.Result(), level+1) + " }"
	}
	return "Promise { <pending> }"
}

func (p *inspector) record(obj *goja.Object, level int) string {
	prefix := p.class(obj, "") + " "
	switch {
	case obj.Prototype() == nil:
		prefix = "[Object: null prototype] "
	case prefix == "Object " || prefix == " ":
		prefix = ""
	}
	keys := obj.Keys()
	var items []string
	for i, k := range keys {
		if i == maxShown || p.size > maxLine {
			items = append(items, "... "+strconv.Itoa(len(keys)-i)+" more")
			break
		}
		name := k
		if !plainName(k) {
			name = quote(k)
		}
		items = append(items, name+": "+p.value(obj.Get(k), level+1))
	}
	return prefix + wrap("{", items, "}", level)
}

func plainName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r == '$' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// wrap puts items on one line while they fit, and on one line each otherwise.
func wrap(open string, items []string, end string, level int) string {
	if len(items) == 0 {
		return open + end
	}
	width, lines := 0, false
	for _, s := range items {
		width += len(s) + 2
		lines = lines || strings.Contains(s, "\n")
	}
	if width <= lineWidth && !lines {
		return open + " " + strings.Join(items, ", ") + " " + end
	}
	indent := strings.Repeat("  ", level+1)
	return open + "\n" + indent + strings.Join(items, ",\n"+indent) + "\n" + indent[2:] + end
}
