package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"

	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// toJSON returns a value of a fleet as JSON.
func toJSON(format byte, b []byte) (json.RawMessage, error) {
	if engine.Format(format) == engine.JSON {
		if !json.Valid(b) {
			return nil, fault.Text(fault.Invalid, "read answer", "", "it is no JSON")
		}
		return b, nil
	}
	v, err := codec.CBOR[any]().Decode(b)
	if err != nil {
		return nil, fault.Text(fault.Invalid, "read answer", "", err.Error())
	}
	out, err := codec.JSON[any]().Append(nil, plain(v))
	if err != nil {
		return nil, fault.Text(fault.Invalid, "show answer", "", err.Error())
	}
	return out, nil
}

// plain replaces what CBOR has and JSON has not: other keys than texts, and
// floats that are no number.
func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[fmt.Sprint(plain(k))] = plain(e)
		}
		return out
	case map[string]any:
		for k, e := range v {
			v[k] = plain(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plain(e)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case *big.Int:
		return json.Number(v.String())
	case big.Int:
		return json.Number(v.String())
	}
	return v
}
