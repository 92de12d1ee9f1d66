package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Codec reads and writes values of one type in one format.
type Codec[T any] struct {
	// Append writes v after dst and returns the extended slice.
	Append func(dst []byte, v T) ([]byte, error)
	// Decode reads one value that takes up all of b. It does not keep b.
	Decode func(b []byte) (T, error)
}

var (
	encoder = mustEncoder()
	decoder = mustDecoder()
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

func mustEncoder() cbor.UserBufferEncMode {
	m, err := cbor.EncOptions{
		Time: cbor.TimeRFC3339Nano, TimeTag: cbor.EncTagRequired,
		BigIntConvert: cbor.BigIntConvertShortest,
		ShortestFloat: cbor.ShortestFloatNone,
		TextMarshaler: cbor.TextMarshalerTextString,
	}.UserBufferEncMode()
	if err != nil {
		panic(err) // a constant that is wrong
	}
	return m
}

func mustDecoder() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels:  maxDepth,
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		IntDec:           cbor.IntDecConvertSignedOrBigInt,
		BigIntDec:        cbor.BigIntDecodePointer,
		TextUnmarshaler:  cbor.TextUnmarshalerTextString,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	}.DecMode()
	if err != nil {
		panic(err) // a constant that is wrong
	}
	return m
}

// CBOR returns the codec of T between programs. Whole numbers, text, booleans
// and floats take a short way that allocates nothing but the answer.
func CBOR[T any]() Codec[T] {
	var zero T
	switch any(zero).(type) {
	case int:
		return any(Codec[int]{appendInt[int], decodeInt}).(Codec[T])
	case int64:
		return any(Codec[int64]{appendInt[int64], decodeInt64}).(Codec[T])
	case string:
		return any(Codec[string]{appendText, decodeText}).(Codec[T])
	case bool:
		return any(Codec[bool]{appendBool, decodeBool}).(Codec[T])
	case float64:
		return any(Codec[float64]{appendFloat, decodeFloat}).(Codec[T])
	case struct{}:
		return any(Codec[struct{}]{appendNothing, decodeNothing}).(Codec[T])
	}
	return Codec[T]{appendCBOR[T], decodeCBOR[T]}
}

// JSON returns the codec of T at doors.
func JSON[T any]() Codec[T] {
	return Codec[T]{
		Append: func(dst []byte, v T) ([]byte, error) {
			b, err := json.Marshal(v)
			return append(dst, b...), err
		},
		Decode: func(b []byte) (v T, err error) {
			d := json.NewDecoder(bytes.NewReader(b))
			if err = d.Decode(&v); err != nil {
				return v, err
			}
			if _, err := d.Token(); err != io.EOF {
				return v, errors.New("more than one JSON value")
			}
			return v, nil
		},
	}
}

func appendCBOR[T any](dst []byte, v T) ([]byte, error) {
	if r := reflect.ValueOf(v); r.IsValid() && canNest(r.Type()) {
		if err := shallow(r, maxDepth, maxHops); err != nil {
			return dst, err
		}
	}
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	err := encoder.MarshalToBuffer(v, buf)
	if err == nil {
		dst = append(dst, buf.Bytes()...)
	}
	if buf.Cap() <= 64<<10 {
		buffers.Put(buf)
	}
	return dst, err
}

func decodeCBOR[T any](b []byte) (v T, err error) {
	err = decoder.Unmarshal(b, &v)
	return v, err
}

// CBOR major types and simple values, RFC 8949 section 3.
const (
	majorUint  = 0 << 5
	majorNeg   = 1 << 5
	majorText  = 3 << 5
	simpleNo   = 0xf4
	simpleYes  = 0xf5
	simpleNull = 0xf6
	float64Tag = 0xfb
)

func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// head reads an initial byte and its argument. size is 0 when b is no
// definite, well-formed head.
func head(b []byte) (major byte, n uint64, size int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, low := b[0]&0xe0, b[0]&0x1f
	switch {
	case low < 24:
		return major, uint64(low), 1
	case low == 24 && len(b) >= 2:
		return major, uint64(b[1]), 2
	case low == 25 && len(b) >= 3:
		return major, uint64(binary.BigEndian.Uint16(b[1:])), 3
	case low == 26 && len(b) >= 5:
		return major, uint64(binary.BigEndian.Uint32(b[1:])), 5
	case low == 27 && len(b) >= 9:
		return major, binary.BigEndian.Uint64(b[1:]), 9
	}
	return 0, 0, 0
}

func appendInt[I int | int64](dst []byte, v I) ([]byte, error) {
	if v < 0 {
		return appendHead(dst, majorNeg, uint64(-(v + 1))), nil
	}
	return appendHead(dst, majorUint, uint64(v)), nil
}

func decodeInt64(b []byte) (int64, error) {
	major, n, size := head(b)
	if size == len(b) && size > 0 && n <= math.MaxInt64 {
		switch major {
		case majorUint:
			return int64(n), nil
		case majorNeg:
			return -1 - int64(n), nil
		}
	}
	return decodeCBOR[int64](b) // floats with whole values, bignums, tags, errors
}

func decodeInt(b []byte) (int, error) {
	n, err := decodeInt64(b)
	if err == nil && int64(int(n)) != n {
		return decodeCBOR[int](b)
	}
	return int(n), err
}

func appendText(dst []byte, v string) ([]byte, error) {
	return append(appendHead(dst, majorText, uint64(len(v))), v...), nil
}

func decodeText(b []byte) (string, error) {
	major, n, size := head(b)
	if major == majorText && size > 0 && uint64(len(b)-size) == n {
		return string(b[size:]), nil
	}
	return decodeCBOR[string](b)
}

func appendBool(dst []byte, v bool) ([]byte, error) {
	if v {
		return append(dst, simpleYes), nil
	}
	return append(dst, simpleNo), nil
}

func decodeBool(b []byte) (bool, error) {
	if len(b) == 1 && (b[0] == simpleNo || b[0] == simpleYes) {
		return b[0] == simpleYes, nil
	}
	return decodeCBOR[bool](b)
}

func appendFloat(dst []byte, v float64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(append(dst, float64Tag), math.Float64bits(v)), nil
}

func decodeFloat(b []byte) (float64, error) {
	if len(b) == 9 && b[0] == float64Tag {
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), nil
	}
	return decodeCBOR[float64](b)
}

func appendNothing(dst []byte, _ struct{}) ([]byte, error) { return append(dst, simpleNull), nil }

// decodeNothing accepts any well-formed value: a function that takes nothing
// may be called with anything.
func decodeNothing(b []byte) (struct{}, error) {
	if len(b) == 1 && b[0] == simpleNull {
		return struct{}{}, nil
	}
	return struct{}{}, decoder.Wellformed(b)
}

// Into decodes CBOR into v, a non-nil pointer.
func Into(b []byte, v any) error { return decoder.Unmarshal(b, v) }

// From encodes v as CBOR after dst.
func From(dst []byte, v any) ([]byte, error) { return appendCBOR(dst, v) }
