package js

import (
	"context"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"time"

	"github.com/dop251/goja"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

var (
	promiseType = reflect.TypeFor[*goja.Promise]()
	bufferType  = reflect.TypeFor[goja.ArrayBuffer]()
	bytesType   = reflect.TypeFor[[]byte]()
	bigType     = reflect.TypeFor[*big.Int]()
	symbolType  = reflect.TypeFor[string]()
	mapType     = reflect.TypeFor[[][2]any]()
	setType     = reflect.TypeFor[[]any]()
	proxyType   = reflect.TypeFor[goja.Proxy]()
)

// Why 1<<20 bits? Writing a number in decimal takes more than linear time.
const maxBits = 1 << 20

// encode appends v to dst.
func (rt *runtime) encode(ctx context.Context, format engine.Format, v goja.Value, dst []byte) ([]byte, error) {
	e := encoder{rt: rt, ctx: ctx, json: format == engine.JSON, dst: dst, limit: len(dst) + rt.engine.opts.memory()}
	err := e.value(v)
	if err == nil && len(e.dst) > e.limit {
		err = e.tooLong()
	}
	if err != nil {
		if r, ok := err.(*refusal); ok {
			return nil, fault.Text(fault.Invalid, "send", "answer"+r.path, r.text)
		}
		return nil, rt.failure(err)
	}
	return e.dst, nil
}

// refusal says which part of a value has no form; the path grows on the way out.
type refusal struct{ path, text string }

func (r *refusal) Error() string { return r.path + ": " + r.text }

func refuse(text string) error { return &refusal{text: text} }

// at puts a step in front of a refusal's path.
func at(err error, step string) error {
	if r, ok := err.(*refusal); ok {
		r.path = step + r.path
	}
	return err
}

func index(i int64) string { return "[" + strconv.FormatInt(i, 10) + "]" }

// encoder walks a JavaScript value once and writes CBOR or JSON.
type encoder struct {
	rt    *runtime
	ctx   context.Context
	json  bool
	dst   []byte
	limit int
	count int
	open  []*goja.Object // the objects around the value being written
}

func (e *encoder) value(v goja.Value) error {
	if e.count++; e.count%1024 == 0 && e.ctx.Err() != nil {
		return errInterrupted
	}
	if len(e.dst) > e.limit {
		return e.tooLong()
	}
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		e.null()
		return nil
	}
	switch {
	case goja.IsString(v):
		return e.text(v.String())
	case goja.IsBigInt(v):
		return e.bigint(v.Export().(*big.Int))
	}
	switch x := v.(type) {
	case *goja.Symbol:
		return refuse("a symbol has no value form")
	case *goja.Object:
		return e.nested(x)
	}
	return e.plain(v.Export())
}

func (e *encoder) plain(x any) error {
	switch x := x.(type) {
	case bool:
		e.boolean(x)
	case int64:
		return e.integer(x)
	case float64:
		return e.float(x)
	case string:
		return e.text(x)
	default:
		return refuse(fmt.Sprintf("%T has no value form", x))
	}
	return nil
}

// nested guards against cycles and depth around object.
func (e *encoder) nested(obj *goja.Object) error {
	for _, outer := range e.open {
		if outer == obj {
			return refuse("it contains itself; a cycle has no value form")
		}
	}
	if len(e.open) >= maxDepth {
		return refuse(errDeep.Error())
	}
	e.open = append(e.open, obj)
	err := e.object(obj)
	e.open = e.open[:len(e.open)-1]
	return err
}

// tooLong is about the whole answer, wherever it was noticed.
func (e *encoder) tooLong() error {
	return fault.Text(fault.Invalid, "send", "the answer",
		fmt.Sprintf("it is longer than %d bytes", e.rt.engine.opts.memory()))
}

func (e *encoder) object(obj *goja.Object) error {
	switch obj.ClassName() {
	case "Function":
		return refuse("a function has no value form")
	case "RegExp":
		return refuse("a regular expression has no value form")
	case "Array", "Arguments":
		return e.list(obj)
	case "Date":
		return e.date(obj)
	case "Number", "Boolean":
		return e.plain(obj.Export())
	case "String":
		return e.text(obj.String())
	case "Error":
		return e.failure(obj)
	}
	switch t := obj.ExportType(); {
	case t == bytesType:
		return e.bytes(obj.Export().([]byte))
	case t == bufferType:
		return e.bytes(obj.Export().(goja.ArrayBuffer).Bytes())
	case t == mapType:
		return e.mapping(obj)
	case t == setType:
		return e.set(obj)
	case t == promiseType:
		return refuse("a promise has no value form; await it")
	case t == symbolType:
		return refuse("a symbol has no value form")
	case t == bigType:
		return e.bigint(obj.Export().(*big.Int))
	case t == proxyType:
		is, err := e.rt.isArray(goja.Undefined(), obj)
		if err != nil {
			return err
		}
		if is.ToBoolean() {
			return e.list(obj)
		}
	case t != nil && t.Kind() == reflect.Slice:
		return e.list(obj) // the other typed arrays
	}
	return e.record(obj)
}

// record writes an object by its own properties, after toJSON had its say.
func (e *encoder) record(obj *goja.Object) error {
	if tag := obj.GetSymbol(goja.SymToStringTag); tag != nil && goja.IsString(tag) {
		switch name := tag.String(); name {
		case "DataView":
			return e.view(obj)
		case "WeakMap", "WeakSet", "Generator":
			return refuse("a " + name + " has no value form")
		}
	}
	if f, ok := goja.AssertFunction(obj.Get("toJSON")); ok {
		v, err := f(obj, e.rt.vm.ToValue(""))
		if err != nil {
			return err
		}
		if o, ok := v.(*goja.Object); ok && o == obj {
			return e.properties(obj)
		}
		return e.value(v)
	}
	return e.properties(obj)
}

func (e *encoder) properties(obj *goja.Object) error {
	keys := obj.Keys()
	values := make([]goja.Value, len(keys))
	n := 0
	for _, k := range keys {
		// A property that is undefined is a property that is missing, as in JSON.stringify.
		if v := obj.Get(k); v != nil && !goja.IsUndefined(v) {
			keys[n], values[n] = k, v
			n++
		}
	}
	e.startMap(n)
	for i, k := range keys[:n] {
		e.comma(i)
		if err := e.text(k); err != nil {
			return err
		}
		e.colon()
		if err := e.value(values[i]); err != nil {
			return at(err, "."+k)
		}
	}
	e.endMap()
	return nil
}

func (e *encoder) failure(obj *goja.Object) error {
	e.startMap(2)
	for i, k := range []string{"name", "message"} {
		e.comma(i)
		if err := e.text(k); err != nil {
			return err
		}
		e.colon()
		if err := e.text(text(obj.Get(k))); err != nil {
			return err
		}
	}
	e.endMap()
	return nil
}

func (e *encoder) list(obj *goja.Object) error {
	n := obj.Get("length").ToInteger()
	if n > int64(e.limit) {
		return e.tooLong()
	}
	e.startArray(int(n))
	for i := range n {
		e.comma(int(i))
		if err := e.value(obj.Get(strconv.FormatInt(i, 10))); err != nil {
			return at(err, index(i))
		}
	}
	e.endArray()
	return nil
}

func (e *encoder) set(obj *goja.Object) error {
	items := e.items(obj)
	e.startArray(len(items))
	for i, v := range items {
		e.comma(i)
		if err := e.value(v); err != nil {
			return at(err, index(int64(i)))
		}
	}
	e.endArray()
	return nil
}

func (e *encoder) mapping(obj *goja.Object) error {
	entries := e.items(obj)
	e.startMap(len(entries))
	for i, entry := range entries {
		pair, ok := entry.(*goja.Object)
		if !ok {
			return refuse("its iterator yields no entries")
		}
		k := pair.Get("0")
		e.comma(i)
		if err := e.key(k); err != nil {
			return err
		}
		e.colon()
		if err := e.value(pair.Get("1")); err != nil {
			return at(err, "["+k.String()+"]")
		}
	}
	e.endMap()
	return nil
}

// items collects what iterating yields, so that its number is known before it is written.
func (e *encoder) items(obj *goja.Object) (items []goja.Value) {
	e.rt.vm.ForOf(obj, func(v goja.Value) bool {
		items = append(items, v)
		return len(items) <= e.limit
	})
	return items
}

func (e *encoder) key(k goja.Value) error {
	switch k.(type) {
	case *goja.Object, *goja.Symbol:
		return refuse("a Map with a key that is no text, number or boolean has no value form")
	}
	if e.json {
		return e.text(k.String())
	}
	return e.value(k)
}

func (e *encoder) view(obj *goja.Object) error {
	buffer, ok := obj.Get("buffer").(*goja.Object)
	if !ok || buffer.ExportType() != bufferType {
		return e.properties(obj)
	}
	all := buffer.Export().(goja.ArrayBuffer).Bytes()
	from, size := obj.Get("byteOffset").ToInteger(), obj.Get("byteLength").ToInteger()
	if from < 0 || size < 0 || from+size > int64(len(all)) {
		return refuse("a DataView outside of its buffer")
	}
	return e.bytes(all[from : from+size])
}

func (e *encoder) date(obj *goja.Object) error {
	t, ok := obj.Export().(time.Time)
	if !ok || t.IsZero() {
		return refuse("an invalid date has no value form")
	}
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return refuse("a date outside the years 0 to 9999 has no value form")
	}
	const layout = "2006-01-02T15:04:05.000Z" // as Date.prototype.toISOString
	if !e.json {
		e.head(6, 0)
	}
	return e.text(t.Format(layout))
}
