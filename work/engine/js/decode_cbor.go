package js

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/dop251/goja"
)

func (rt *runtime) decodeCBOR(b []byte) (goja.Value, error) {
	r := cborReader{rt: rt, b: b}
	v, err := r.value(0)
	if err == nil && len(r.b) > 0 {
		err = errors.New("more than one CBOR value")
	}
	return v, err
}

// cborReader turns CBOR into JavaScript values without a step between.
type cborReader struct {
	rt    *runtime
	b     []byte // what is left
	count int
}

const indefinite = math.MaxUint64

var errBreak = errors.New("break where a value is expected")

// head reads an initial byte and its argument. n is indefinite for low bits 31.
func (r *cborReader) head() (major, low byte, n uint64, err error) {
	if len(r.b) == 0 {
		return 0, 0, 0, errShort
	}
	major, low = r.b[0]>>5, r.b[0]&31
	r.b = r.b[1:]
	size := 0
	switch {
	case low < 24:
		return major, low, uint64(low), nil
	case low < 28:
		size = 1 << (low - 24)
	case low == 31:
		return major, low, indefinite, nil
	default:
		return 0, 0, 0, errors.New("reserved CBOR initial byte")
	}
	if len(r.b) < size {
		return 0, 0, 0, errShort
	}
	var wide [8]byte
	copy(wide[8-size:], r.b)
	r.b = r.b[size:]
	return major, low, binary.BigEndian.Uint64(wide[:]), nil
}

func (r *cborReader) value(depth int) (goja.Value, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	if r.count++; r.count > maxValues {
		return nil, errMany
	}
	major, low, n, err := r.head()
	if err != nil {
		return nil, err
	}
	if low == 31 && (major < 2 || major == 6) {
		return nil, errors.New("indefinite length where CBOR has none")
	}
	if low == 27 && n == indefinite && major < 6 && major > 1 {
		return nil, errShort
	}
	switch major {
	case 0:
		if n > maxSafe {
			return r.rt.vm.ToValue(new(big.Int).SetUint64(n)), nil
		}
		return r.rt.vm.ToValue(int64(n)), nil
	case 1:
		if n >= maxSafe {
			v := new(big.Int).SetUint64(n)
			return r.rt.vm.ToValue(v.Not(v)), nil
		}
		return r.rt.vm.ToValue(-1 - int64(n)), nil
	case 2:
		b, err := r.chunks(major, low, n)
		if err != nil {
			return nil, err
		}
		return r.rt.bytesOf(b)
	case 3:
		s, err := r.text(low, n)
		if err != nil {
			return nil, err
		}
		return r.rt.vm.ToValue(s), nil
	case 4:
		return r.array(depth, n)
	case 5:
		return r.object(depth, n)
	case 6:
		return r.tagged(depth, n)
	}
	return r.simple(low, n)
}

// take returns the next n bytes.
func (r *cborReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.b)) {
		return nil, errShort
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b, nil
}

// chunks reads the content of a string and returns a copy.
func (r *cborReader) chunks(major, low byte, n uint64) ([]byte, error) {
	if low != 31 {
		b, err := r.take(n)
		return append([]byte(nil), b...), err
	}
	var all []byte
	for {
		m, l, n, err := r.head()
		if err != nil {
			return nil, err
		}
		if m == 7 && l == 31 {
			return all, nil
		}
		if m != major || l == 31 {
			return nil, errors.New("a piece of a string is no string")
		}
		b, err := r.take(n)
		if err != nil {
			return nil, err
		}
		if major == 3 && !utf8.Valid(b) {
			return nil, errors.New("text is not UTF-8")
		}
		all = append(all, b...)
	}
}

func (r *cborReader) text(low byte, n uint64) (string, error) {
	if low == 31 {
		b, err := r.chunks(3, low, n)
		return string(b), err
	}
	b, err := r.take(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", errors.New("text is not UTF-8")
	}
	return string(b), nil
}

// more reports whether an array or map of n items has an item number i.
func (r *cborReader) more(i, n uint64) bool {
	if n != indefinite {
		return i < n
	}
	if len(r.b) > 0 && r.b[0] == 0xff {
		r.b = r.b[1:]
		return false
	}
	return true
}

func (r *cborReader) array(depth int, n uint64) (goja.Value, error) {
	if n != indefinite && n > uint64(len(r.b)) {
		return nil, errShort
	}
	items := make([]any, 0, min(n, 16)) // the length is only a claim, and there may be one per level
	for i := uint64(0); r.more(i, n); i++ {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return r.rt.arrayOf(items), nil
}

// object reads a map: a plain object as long as all keys are text, a Map otherwise.
func (r *cborReader) object(depth int, n uint64) (goja.Value, error) {
	if n != indefinite && n > uint64(len(r.b))/2 {
		return nil, errShort
	}
	var keys, values []goja.Value
	plain := true
	for i := uint64(0); r.more(i, n); i++ {
		k, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		plain = plain && goja.IsString(k)
		keys, values = append(keys, k), append(values, v)
	}
	if plain {
		obj := r.rt.vm.NewObject()
		for i, k := range keys {
			if err := setProperty(obj, k.String(), values[i]); err != nil {
				return nil, err
			}
		}
		return obj, nil
	}
	obj, err := r.rt.vm.New(r.rt.mapOf)
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		if _, err := r.rt.mapSet(obj, k, values[i]); err != nil {
			return nil, err
		}
	}
	return obj, nil
}

func (r *cborReader) tagged(depth int, tag uint64) (goja.Value, error) {
	if tag == 2 || tag == 3 {
		major, low, n, err := r.head()
		if err != nil {
			return nil, err
		}
		if major != 2 {
			return nil, errors.New("a bignum that is no byte string")
		}
		b, err := r.chunks(major, low, n)
		if err != nil {
			return nil, err
		}
		v := new(big.Int).SetBytes(b)
		if tag == 3 {
			v.Not(v)
		}
		return r.rt.vm.ToValue(v), nil
	}
	v, err := r.value(depth + 1)
	if err != nil {
		return nil, err
	}
	switch {
	case tag == 0 && goja.IsString(v):
		t, err := time.Parse(time.RFC3339Nano, v.String())
		if err != nil {
			return nil, errors.New("a time that is not RFC 3339")
		}
		return r.rt.dateOf(t)
	case tag == 1 && goja.IsNumber(v):
		obj, err := r.rt.vm.New(r.rt.date, r.rt.vm.ToValue(math.Round(v.ToFloat()*1000)))
		return obj, err
	case tag <= 1:
		return nil, errors.New("a time that is neither text nor number")
	}
	return v, nil // a tag nobody here knows: its content
}

func (r *cborReader) simple(low byte, n uint64) (goja.Value, error) {
	switch low {
	case 20:
		return r.rt.vm.ToValue(false), nil
	case 21:
		return r.rt.vm.ToValue(true), nil
	case 22:
		return goja.Null(), nil
	case 23:
		return goja.Undefined(), nil
	case 25:
		return r.rt.vm.ToValue(half(uint16(n))), nil
	case 26:
		return r.rt.vm.ToValue(float64(math.Float32frombits(uint32(n)))), nil
	case 27:
		return r.rt.vm.ToValue(math.Float64frombits(n)), nil
	case 31:
		return nil, errBreak
	}
	return nil, errors.New("a simple value that is neither boolean, null nor undefined")
}

// half widens an IEEE 754 half-precision number.
func half(h uint16) float64 {
	exp, mant := int(h>>10)&31, float64(h&1023)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(mant, -24)
	case 31:
		f = math.Inf(1)
		if mant != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(mant+1024, exp-25)
	}
	if h>>15 == 1 {
		f = -f
	}
	return f
}
