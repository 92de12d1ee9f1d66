package message

import (
	"bytes"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// cborModes are made at first use.
var cborModes = sync.OnceValues(func() (modes struct {
	enc cbor.UserBufferEncMode
	dec cbor.DecMode
}, err error) {
	o := cbor.CoreDetEncOptions()
	o.BigIntConvert = cbor.BigIntConvertShortest
	if modes.enc, err = o.UserBufferEncMode(); err != nil {
		return modes, err
	}
	modes.dec, err = cbor.DecOptions{
		MaxNestedLevels:  maxDepth + 28, // the envelopes of doors
		MaxArrayElements: 1 << 27,       // each takes a byte: the length of the data is the bound
		MaxMapPairs:      1 << 27,
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
		BigIntDec:        cbor.BigIntDecodePointer,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	}.DecMode()
	return modes, err
})

// AppendCBOR appends v, a value of the type, to b as CBOR (RFC 8949), in its core deterministic encoding. The error
// is as that of Append.
func (t *Type) AppendCBOR(b []byte, v reflect.Value) ([]byte, error) {
	tree, err := t.Tree(v)
	if err != nil {
		return b, err
	}
	return AppendCBOR(b, tree)
}

// DecodeCBOR reads one CBOR value into v as Decode does. The error is Problems.
func (t *Type) DecodeCBOR(data []byte, v reflect.Value) error {
	tree, err := ParseCBOR(data)
	if err != nil {
		return err
	}
	return t.DecodeTree(tree, v)
}

// AppendCBOR appends a tree, see [Type.Tree], to b as CBOR. The error is Problems.
func AppendCBOR(b []byte, tree any) ([]byte, error) {
	modes, err := cborModes()
	if err != nil {
		return b, err
	}
	plain, err := untree(tree, 0)
	if err != nil {
		return b, err
	}
	buf := bytes.NewBuffer(b)
	if err := modes.enc.MarshalToBuffer(plain, buf); err != nil {
		return b, failed("%v", err)
	}
	return buf.Bytes(), nil
}

// untree makes of a tree what the encoder of CBOR knows.
func untree(tree any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, failed("it is nested more than 100 levels deep")
	}
	switch x := tree.(type) {
	case string:
		if !utf8.ValidString(x) {
			return nil, failed("a text is not UTF-8")
		}
	case time.Time:
		if y := x.Year(); y < 0 || y > 9999 {
			return nil, failed("its year %d cannot be written", y)
		}
		return cbor.Tag{Number: 0, Content: x.Format(time.RFC3339Nano)}, nil // the encoder makes null of the zero time
	case []byte:
		return append([]byte{}, x...), nil // and of a nil
	case []any:
		out := make([]any, len(x))
		for i, one := range x {
			var err error
			if out[i], err = untree(one, depth+1); err != nil {
				return nil, at(err, "["+strconv.Itoa(i)+"]")
			}
		}
		return out, nil
	case Object:
		out := make(map[string]any, len(x))
		for _, m := range x {
			one, err := untree(m.Value, depth+1)
			if err == nil {
				_, err = untree(m.Name, depth)
			}
			if err != nil {
				return nil, at(err, shown(m.Name))
			}
			out[m.Name] = one
		}
		return out, nil
	}
	return tree, nil
}

// ParseCBOR reads one CBOR value as a tree, for DecodeTree. A map with other keys than texts is an array of pairs. Members
// are in the order of their names. The error is Problems.
func ParseCBOR(data []byte) (any, error) {
	modes, err := cborModes()
	if err != nil {
		return nil, err
	}
	var v any
	if err := modes.dec.Unmarshal(data, &v); err != nil {
		return nil, notCBOR(err)
	}
	return treeOf(v, 0)
}

func notCBOR(err error) error {
	var twice *cbor.DupMapKeyError
	var deep *cbor.MaxNestedLevelError
	switch {
	case errors.As(err, &twice):
		return failed("a name is there twice")
	case errors.As(err, &deep):
		return failed("it is nested more than 100 levels deep")
	}
	return failed("not CBOR: %v", err)
}

// maxBits bounds whole numbers of any length; see maxDigits.
const maxBits = 33_219

// treeOf makes a tree of what the decoder of CBOR made.
func treeOf(v any, depth int) (any, error) {
	switch x := v.(type) {
	case nil, bool, int64, uint64, float64, string, []byte:
		return x, nil
	case float32:
		return float64(x), nil
	case *big.Int:
		if x.BitLen() > maxBits {
			return nil, failed("a number must have at most 10000 digits")
		}
		return x, nil
	case time.Time:
		if y := x.Year(); y < 0 || y > 9999 {
			return nil, failed("a time's year %d cannot be", y)
		}
		return x, nil
	case []any:
		for i, one := range x {
			var err error
			if x[i], err = treeOf(one, depth+1); err != nil {
				return nil, at(err, "["+strconv.Itoa(i)+"]")
			}
		}
		return x, nil
	case map[any]any:
		return treeOfCBORMap(x, depth)
	case cbor.Tag:
		return nil, failed("the tag %d is not known", x.Number)
	case cbor.ByteString:
		return []byte(x), nil
	}
	return nil, failed("a %T cannot be part of a message", v)
}

// treeOfCBORMap is an object, or pairs if a key is no text.
func treeOfCBORMap(m map[any]any, depth int) (any, error) {
	type entry struct {
		order      string
		key, value any
	}
	texts := true
	entries := make([]entry, 0, len(m))
	for k, v := range m {
		name, ok := k.(string)
		texts = texts && ok
		value, err := treeOf(v, depth+1)
		if err != nil {
			return nil, at(err, shown(name))
		}
		key, err := treeOf(k, depth+1)
		if err != nil {
			return nil, at(err, "a key")
		}
		if !ok {
			order, err := appendTree(nil, key, 0)
			if err != nil {
				return nil, at(err, "a key")
			}
			name = string(order)
		}
		entries = append(entries, entry{name, key, value})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.order, b.order) })
	if !texts {
		out := make([]any, len(entries))
		for i, e := range entries {
			out[i] = []any{e.key, e.value}
		}
		return out, nil
	}
	out := make(Object, len(entries))
	for i, e := range entries {
		out[i] = Member{e.order, e.value}
	}
	return out, nil
}
