package message

import (
	"encoding/base64"
	"errors"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// anything reads a value of no known type: nil, bool, float64, *big.Int for whole numbers that no
// float64 holds, string, []any, map[string]any.
func (d *decoder) anything() any {
	if len(d.path) > maxDepth {
		d.broken = true
		d.problem("it is nested more than 100 levels deep")
		return nil
	}
	switch d.d.PeekKind() {
	case '{':
		d.token()
		out := map[string]any{}
		for d.more('}') {
			tok, ok := d.token()
			if !ok {
				return nil
			}
			name := tok.String()
			d.path = append(d.path, step{name: name})
			out[name] = d.anything()
			d.path = d.path[:len(d.path)-1]
		}
		return out
	case '[':
		d.token()
		out := []any{}
		for d.more(']') {
			d.path = append(d.path, step{index: len(out)})
			out = append(out, d.anything())
			d.path = d.path[:len(d.path)-1]
		}
		return out
	}
	tok, ok := d.token()
	if !ok {
		return nil
	}
	switch tok.Kind() {
	case 't', 'f':
		return tok.Bool()
	case '"':
		return tok.String()
	case '0':
		return d.number(tok.String())
	}
	return nil
}

func (d *decoder) number(text string) any {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d.problem("the number is out of range")
		return nil
	}
	if f == math.Trunc(f) && math.Abs(f) >= 1<<53 && len(text) <= maxDigits && !strings.ContainsAny(text, ".eE") {
		if b, ok := new(big.Int).SetString(text, 10); ok {
			return b
		}
	}
	return f
}

// maxDigits bounds whole numbers of any length: reading one takes time that grows faster than it.
const maxDigits = 10_000

// word reads what is written as one word.
func (d *decoder) word(t *Type, v reflect.Value) {
	want, kinds := t.wants()
	if k := d.d.PeekKind(); !slices.Contains(kinds, k) && k != 0 {
		d.skip(want)
		return
	}
	tok, ok := d.token()
	if !ok {
		return
	}
	if t.kind == kindFloat && tok.Kind() == '0' {
		f, err := tok.Float()
		if err != nil || math.IsInf(f, 0) || v.OverflowFloat(f) {
			d.problem("the number is out of range")
			return
		}
		v.SetFloat(f)
		return
	}
	if wrong := t.setText(tok.String(), v); wrong != "" {
		d.problem(wrong)
	}
}

// wants is what a word has to be in JSON.
func (t *Type) wants() (want string, kinds []jsontext.Kind) {
	switch t.kind {
	case kindBool:
		return "a boolean", wantBool
	case kindInt, kindUint, kindFloat:
		return "a number", wantNumber
	case kindBig:
		return "a whole number", wantBig
	}
	return "a text", wantText
}

var (
	wantBool   = []jsontext.Kind{'t', 'f'}
	wantNumber = []jsontext.Kind{'0'}
	wantText   = []jsontext.Kind{'"'}
	wantBig    = []jsontext.Kind{'0', '"'} // as a text too: many languages cannot write it as a number
)

// setText sets a word from its text and says what is wrong with it; empty when nothing is.
func (t *Type) setText(s string, v reflect.Value) string {
	switch t.kind {
	case kindString:
		v.SetString(s)
	case kindBool:
		return setBool(s, v)
	case kindInt, kindUint, kindFloat, kindBig:
		return t.setNumber(s, v)
	case kindBytes:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return "must be base64"
		}
		v.SetBytes(b)
	case kindTime:
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return "must be a time as in 2026-01-02T15:04:05Z"
		}
		v.Set(reflect.ValueOf(at))
	case kindDuration:
		span, err := time.ParseDuration(s)
		if err != nil {
			return "must be a duration as in 1h30m or 250ms"
		}
		v.SetInt(int64(span))
	case kindText:
		if err := readText(v, s); err != nil {
			return "is no " + t.goType.Name() + ": " + err.Error()
		}
	default:
		return "must not be a text"
	}
	return ""
}

func setBool(s string, v reflect.Value) string {
	switch s {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return "must be true or false"
	}
	return ""
}

// notFinite is the one word that is right by its type, and still none.
const notFinite = "must be a number, and finite"

func (t *Type) setNumber(s string, v reflect.Value) string {
	const whole, far = "must be a whole number", "the number is out of range"
	var err error
	switch t.kind {
	case kindInt:
		var n int64
		if n, err = strconv.ParseInt(s, 10, t.goType.Bits()); err == nil {
			v.SetInt(n)
		}
	case kindUint:
		var n uint64
		if n, err = strconv.ParseUint(s, 10, t.goType.Bits()); err == nil {
			v.SetUint(n)
		} else if strings.HasPrefix(s, "-") {
			return "must not be below zero"
		}
	case kindFloat:
		var f float64
		if f, err = strconv.ParseFloat(s, t.goType.Bits()); err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return notFinite
		}
		if err == nil {
			v.SetFloat(f)
		} else if !errors.Is(err, strconv.ErrRange) {
			return "must be a number"
		}
	default:
		if len(s) > maxDigits {
			return "must have at most 10000 digits"
		}
		b, ok := new(big.Int).SetString(s, 10)
		if !ok {
			return whole
		}
		v.Set(reflect.ValueOf(b).Elem())
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return far
	case err != nil:
		return whole
	}
	return ""
}
