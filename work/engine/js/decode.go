package js

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/dop251/goja"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Bounds on one value, both ways.
const (
	maxDepth  = 256     // as ground/codec
	maxValues = 4 << 20 // an object takes some hundred times the byte that announces it
	maxDigits = 1 << 16 // of a number in JSON
	maxTimers = 1 << 16
)

const maxSafe = 1<<53 - 1

var (
	errShort = errors.New("value is cut short")
	errDeep  = fmt.Errorf("more than %d levels of nesting", maxDepth)
	errMany  = fmt.Errorf("more than %d values", maxValues)
)

// decode reads input as one value; nil for no input.
func (rt *runtime) decode(format engine.Format, input []byte) (goja.Value, error) {
	var v goja.Value
	var err error
	switch {
	case len(input) == 0:
		return nil, nil
	case format == engine.JSON:
		v, err = rt.decodeJSON(input)
	default:
		v, err = rt.decodeCBOR(input)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "read", "the input", err)
	}
	return v, nil
}

// setProperty makes name a property of obj's own; plain assignment would call setters, __proto__ first.
func setProperty(obj *goja.Object, name string, v goja.Value) error {
	if name == "__proto__" {
		return obj.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
	}
	return obj.Set(name, v)
}

func (rt *runtime) integer(n int64) goja.Value {
	if n > maxSafe || n < -maxSafe {
		return rt.vm.ToValue(big.NewInt(n))
	}
	return rt.vm.ToValue(n)
}

func (rt *runtime) dateOf(t time.Time) (goja.Value, error) {
	obj, err := rt.vm.New(rt.date, rt.vm.ToValue(t.UnixMilli()))
	return obj, err
}

func (rt *runtime) bytesOf(b []byte) (goja.Value, error) {
	buffer := rt.vm.ToValue(rt.vm.NewArrayBuffer(b))
	obj, err := rt.vm.New(rt.uint8Array, buffer)
	return obj, err
}

func (rt *runtime) arrayOf(items []any) goja.Value { return rt.vm.NewArray(items...) }
