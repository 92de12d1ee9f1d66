package js

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// install builds the globals of a new runtime.
func (rt *runtime) install() error {
	vm := rt.vm
	rt.uint8Array = vm.Get("Uint8Array").(*goja.Object)
	rt.date = vm.Get("Date").(*goja.Object)
	rt.mapOf = vm.Get("Map").(*goja.Object)
	rt.rangeError = vm.Get("RangeError").(*goja.Object)
	native := vm.NewObject()
	for name, f := range map[string]func(goja.FunctionCall) goja.Value{
		"timer":  rt.setTimer,
		"clear":  rt.clearTimer,
		"log":    rt.consoleLog,
		"now":    rt.now,
		"encode": rt.encodeText,
		"decode": rt.decodeText,
		"random": rt.random,
		"uuid":   rt.uuid,
		"atob":   rt.atob,
		"btoa":   rt.btoa,
		"expand": rt.expand,
	} {
		if err := native.Set(name, f); err != nil {
			return err
		}
	}
	if err := native.Set("properties", rt.engine.properties); err != nil {
		return err
	}
	body, err := vm.RunProgram(prelude())
	if err != nil {
		return fmt.Errorf("prelude: %w", err)
	}
	start, _ := goja.AssertFunction(body)
	kept, err := start(goja.Undefined(), native)
	if err != nil {
		return fmt.Errorf("prelude: %w", err)
	}
	obj := kept.(*goja.Object)
	rt.promiseResolve, _ = goja.AssertFunction(obj.Get("resolve"))
	rt.mapSet, _ = goja.AssertFunction(obj.Get("mapSet"))
	rt.isArray, _ = goja.AssertFunction(obj.Get("isArray"))
	return nil
}

// throwRange throws a RangeError out of a native function.
func (rt *runtime) throwRange(text string) {
	e, err := rt.vm.New(rt.rangeError, rt.vm.ToValue(text))
	if err != nil {
		panic(err)
	}
	panic(e)
}

// Why 1 ms at least? As in Node: an interval of 0 would never let go.
func (rt *runtime) setTimer(c goja.FunctionCall) goja.Value {
	call, ok := goja.AssertFunction(c.Argument(0))
	if !ok {
		panic(rt.vm.NewTypeError("a timer needs a function"))
	}
	ms := c.Argument(1).ToFloat()
	if !(ms >= 1 && ms <= 1<<31-1) {
		ms = 1
	}
	if len(rt.loop.timers) >= maxTimers {
		rt.throwRange("too many timers")
	}
	var args []goja.Value
	rt.vm.ForOf(c.Argument(3), func(v goja.Value) bool {
		args = append(args, v)
		return true
	})
	after := time.Duration(ms * float64(time.Millisecond))
	return rt.vm.ToValue(rt.loop.add(call, after, c.Argument(2).ToBoolean(), args))
}

func (rt *runtime) clearTimer(c goja.FunctionCall) goja.Value {
	if goja.IsNumber(c.Argument(0)) {
		rt.loop.remove(c.Argument(0).ToInteger())
	}
	return goja.Undefined()
}

func (rt *runtime) now(goja.FunctionCall) goja.Value {
	return rt.vm.ToValue(float64(time.Since(rt.started)) / float64(time.Millisecond))
}

func (rt *runtime) encodeText(c goja.FunctionCall) goja.Value {
	return rt.vm.ToValue(rt.vm.NewArrayBuffer([]byte(c.Argument(0).String())))
}

func (rt *runtime) decodeText(c goja.FunctionCall) goja.Value {
	b, _ := c.Argument(0).Export().([]byte)
	fatal, keepMark := c.Argument(1).ToBoolean(), c.Argument(2).ToBoolean()
	if fatal && !utf8.Valid(b) {
		panic(rt.vm.NewTypeError("the encoded data is not valid utf-8"))
	}
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if !keepMark {
		s = strings.TrimPrefix(s, "\uFEFF")
	}
	return rt.vm.ToValue(s)
}

func (rt *runtime) random(c goja.FunctionCall) goja.Value {
	b := make([]byte, min(max(c.Argument(0).ToInteger(), 0), 1<<16))
	rand.Read(b)
	return rt.vm.ToValue(rt.vm.NewArrayBuffer(b))
}

func (rt *runtime) uuid(goja.FunctionCall) goja.Value {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant of RFC 9562
	return rt.vm.ToValue(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

func (rt *runtime) atob(c goja.FunctionCall) goja.Value {
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\f\r", r) {
			return -1
		}
		return r
	}, c.Argument(0).String())
	if len(text)%4 == 0 {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		panic(rt.vm.NewTypeError("the text is not base64"))
	}
	runes := make([]rune, len(b))
	for i, x := range b {
		runes[i] = rune(x)
	}
	return rt.vm.ToValue(string(runes))
}

func (rt *runtime) btoa(c goja.FunctionCall) goja.Value {
	var b []byte
	for _, r := range c.Argument(0).String() {
		if r > 0xff {
			panic(rt.vm.NewTypeError("the text has characters beyond Latin-1"))
		}
		b = append(b, byte(r))
	}
	return rt.vm.ToValue(base64.StdEncoding.EncodeToString(b))
}

// expand writes the \p{…} of a pattern as plain ranges.
func (rt *runtime) expand(c goja.FunctionCall) goja.Value {
	pattern, err := expandProperties(c.Argument(0).String())
	if err != nil {
		panic(rt.vm.NewTypeError(err.Error()))
	}
	return rt.vm.ToValue(pattern)
}
