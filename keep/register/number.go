package register

import (
	"math"
	"math/big"
	"strconv"

	"github.com/universal-server/become/ground/fault"
)

// Number is a whole number ≥ 0 of any size. Two are equal when == says so. The
// zero value is 0.
//
// Big ones are kept as their decimal digits, not as math/big: a register compares
// and prints, it never calculates, and so both take a time that grows with
// the length only.
type Number struct {
	small  uint64 // if digits is empty; never noSmall
	digits string // without leading zeros
}

// noSmall is the one uint64 that is kept as digits, so that a register's word can
// say that its value is elsewhere.
const noSmall = math.MaxUint64

// Uint returns u as a Number.
func Uint(u uint64) Number {
	if u == noSmall {
		return Number{digits: strconv.FormatUint(u, 10)}
	}
	return Number{small: u}
}

// FromBig returns i as a Number. A negative one is an error of kind [fault.Invalid].
func FromBig(i *big.Int) (Number, error) {
	if i.Sign() < 0 {
		return Number{}, fault.Text(fault.Invalid, "use number", i.String(), "it is negative")
	}
	return number([]byte(i.String())), nil
}

// Parse reads decimal digits, nothing else: no sign, no blank, at least one digit. Other
// texts are an error of kind [fault.Invalid].
func Parse(s string) (Number, error) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return Number{}, fault.Text(fault.Invalid, "read number", strconv.Quote(s[:min(len(s), 40)]), "not decimal digits")
		}
	}
	if s == "" {
		return Number{}, fault.Text(fault.Invalid, "read number", `""`, "not decimal digits")
	}
	return number([]byte(s)), nil
}

// ParsePrefix reads the decimal digits that b begins with. next is where they end, 0 when there are none.
func ParsePrefix(b []byte) (n Number, next int) {
	var u uint64
	for next < len(b) && isDigit(b[next]) {
		u = u*10 + uint64(b[next]-'0')
		next++
	}
	if next < 20 { // below 10¹⁹: u did not overflow
		return Number{small: u}, next
	}
	return number(b[:next]), next
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// number reads digits that are known to be some.
func number(d []byte) Number {
	for len(d) > 1 && d[0] == '0' {
		d = d[1:]
	}
	if len(d) < 20 { // below 10¹⁹, which is below 2⁶⁴
		var u uint64
		for _, c := range d {
			u = u*10 + uint64(c-'0')
		}
		return Number{small: u}
	}
	if len(d) == 20 {
		if u, err := strconv.ParseUint(string(d), 10, 64); err == nil {
			return Uint(u)
		}
	}
	return Number{digits: string(d)}
}

// long is how many bytes n's digits take that are not in the Number itself.
func (n Number) long() int { return len(n.digits) }

// String returns the decimal digits.
func (n Number) String() string {
	if n.digits != "" {
		return n.digits
	}
	return strconv.FormatUint(n.small, 10)
}

// Append appends the decimal digits to b.
func (n Number) Append(b []byte) []byte {
	if n.digits != "" {
		return append(b, n.digits...)
	}
	return strconv.AppendUint(b, n.small, 10)
}

// Big returns n as a new big.Int.
func (n Number) Big() *big.Int {
	if n.digits == "" {
		return new(big.Int).SetUint64(n.small)
	}
	i, _ := new(big.Int).SetString(n.digits, 10)
	return i
}

// MarshalText returns the decimal digits.
func (n Number) MarshalText() ([]byte, error) { return n.Append(nil), nil }

// UnmarshalText is [Parse].
func (n *Number) UnmarshalText(b []byte) (err error) {
	*n, err = Parse(string(b))
	return err
}
