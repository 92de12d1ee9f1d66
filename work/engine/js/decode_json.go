package js

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/dop251/goja"
)

func (rt *runtime) decodeJSON(b []byte) (goja.Value, error) {
	if !json.Valid(b) {
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			return nil, err
		}
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	r := jsonReader{rt: rt, d: d}
	return r.value(0)
}

// jsonReader turns JSON that is known to be valid into JavaScript values. JSON.parse
// would round large integers.
type jsonReader struct {
	rt    *runtime
	d     *json.Decoder
	count int
}

func (r *jsonReader) value(depth int) (goja.Value, error) {
	token, err := r.d.Token()
	if err != nil {
		if err == io.EOF {
			err = errShort
		}
		return nil, err
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	if r.count++; r.count > maxValues {
		return nil, errMany
	}
	switch t := token.(type) {
	case nil:
		return goja.Null(), nil
	case json.Number:
		return r.number(string(t))
	case json.Delim:
		if t == '[' {
			return r.array(depth)
		}
		return r.object(depth)
	}
	return r.rt.vm.ToValue(token), nil // string, bool
}

func (r *jsonReader) array(depth int) (goja.Value, error) {
	var items []any
	for r.d.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := r.d.Token()
	return r.rt.arrayOf(items), err
}

func (r *jsonReader) object(depth int) (goja.Value, error) {
	obj := r.rt.vm.NewObject()
	for r.d.More() {
		key, err := r.d.Token()
		if err != nil {
			return nil, err
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if err := setProperty(obj, key.(string), v); err != nil {
			return nil, err
		}
	}
	_, err := r.d.Token()
	return obj, err
}

func (r *jsonReader) number(s string) (goja.Value, error) {
	if len(s) > maxDigits {
		return nil, fmt.Errorf("a number of more than %d digits", maxDigits)
	}
	if s != "-0" && !strings.ContainsAny(s, ".eE") {
		n, _ := new(big.Int).SetString(s, 10)
		if n.IsInt64() {
			return r.rt.integer(n.Int64()), nil
		}
		return r.rt.vm.ToValue(n), nil
	}
	f, err := json.Number(s).Float64()
	if err != nil {
		return nil, errors.New("number out of range: " + s)
	}
	return r.rt.vm.ToValue(f), nil
}
