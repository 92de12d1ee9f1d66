package js

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// What follows writes one piece in either of the two formats.

func (e *encoder) null() {
	if e.json {
		e.dst = append(e.dst, "null"...)
	} else {
		e.dst = append(e.dst, 0xf6)
	}
}

func (e *encoder) boolean(b bool) {
	switch {
	case e.json:
		e.dst = strconv.AppendBool(e.dst, b)
	case b:
		e.dst = append(e.dst, 0xf5)
	default:
		e.dst = append(e.dst, 0xf4)
	}
}

func (e *encoder) integer(n int64) error {
	switch {
	case e.json:
		e.dst = strconv.AppendInt(e.dst, n, 10)
	case n < 0:
		e.head(1, uint64(^n))
	default:
		e.head(0, uint64(n))
	}
	return nil
}

func (e *encoder) float(f float64) error {
	if f == math.Trunc(f) && math.Abs(f) <= maxSafe && !(f == 0 && math.Signbit(f)) {
		return e.integer(int64(f))
	}
	if !e.json {
		e.dst = append(e.dst, 0xfb)
		if f != f {
			f = math.NaN() // one of the many
		}
		e.dst = binary.BigEndian.AppendUint64(e.dst, math.Float64bits(f))
		return nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return refuse("NaN and Infinity have no form in JSON")
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	e.dst = strconv.AppendFloat(e.dst, f, format, -1, 64)
	return nil
}

func (e *encoder) bigint(n *big.Int) error {
	if e.json {
		if n.BitLen() > maxBits {
			return refuse(fmt.Sprintf("a bigint of more than %d bits has no form in JSON", maxBits))
		}
		e.dst = n.Append(e.dst, 10)
		return nil
	}
	major := byte(0)
	if n.Sign() < 0 {
		major = 1
		n = new(big.Int).Not(n)
	}
	if n.IsUint64() {
		e.head(major, n.Uint64())
		return nil
	}
	e.head(6, uint64(2+major))
	b := n.Bytes()
	e.head(2, uint64(len(b)))
	e.dst = append(e.dst, b...)
	return nil
}

func (e *encoder) bytes(b []byte) error {
	if e.json {
		e.dst = append(e.dst, '"')
		e.dst = base64.StdEncoding.AppendEncode(e.dst, b)
		e.dst = append(e.dst, '"')
		return nil
	}
	e.head(2, uint64(len(b)))
	e.dst = append(e.dst, b...)
	return nil
}

func (e *encoder) text(s string) error {
	if !e.json {
		e.head(3, uint64(len(s)))
		e.dst = append(e.dst, s...)
		return nil
	}
	e.dst = appendJSONString(e.dst, s)
	return nil
}

// head writes a CBOR initial byte and its argument.
func (e *encoder) head(major byte, n uint64) {
	major <<= 5
	switch {
	case n < 24:
		e.dst = append(e.dst, major|byte(n))
	case n <= math.MaxUint8:
		e.dst = append(e.dst, major|24, byte(n))
	case n <= math.MaxUint16:
		e.dst = binary.BigEndian.AppendUint16(append(e.dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		e.dst = binary.BigEndian.AppendUint32(append(e.dst, major|26), uint32(n))
	default:
		e.dst = binary.BigEndian.AppendUint64(append(e.dst, major|27), n)
	}
}

func (e *encoder) startArray(n int) { e.start(4, n, '[') }
func (e *encoder) startMap(n int)   { e.start(5, n, '{') }
func (e *encoder) endArray()        { e.mark(']') }
func (e *encoder) endMap()          { e.mark('}') }
func (e *encoder) colon()           { e.mark(':') }

func (e *encoder) start(major byte, n int, mark byte) {
	if e.json {
		e.dst = append(e.dst, mark)
	} else {
		e.head(major, uint64(n))
	}
}

func (e *encoder) mark(mark byte) {
	if e.json {
		e.dst = append(e.dst, mark)
	}
}

func (e *encoder) comma(i int) {
	if i > 0 {
		e.mark(',')
	}
}

// appendJSONString writes s, which may come from lone surrogates, as a JSON string.
func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
