package message

import (
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rules are what a field's tags ask of its values.
type rules struct {
	min, max             *big.Float
	minText, maxText     string // as in the tag
	minLength, maxLength int    // -1: none
	pattern              *regexp.Regexp
	enum                 []string
}

// rulesOf reads the tags of a field; nil when there are none.
func rulesOf(tag reflect.StructTag, t *Type) (*rules, error) {
	r := &rules{minLength: -1, maxLength: -1}
	some := false
	for _, one := range []struct {
		tag  string
		read func(string) error
	}{
		{"minimum", func(s string) (err error) { r.min, err = bound(s, t); r.minText = s; return err }},
		{"maximum", func(s string) (err error) { r.max, err = bound(s, t); r.maxText = s; return err }},
		{"minLength", func(s string) (err error) { r.minLength, err = length(s, t); return err }},
		{"maxLength", func(s string) (err error) { r.maxLength, err = length(s, t); return err }},
		{"pattern", func(s string) (err error) { r.pattern, err = regexp.Compile(s); return needs(err, t, kindString) }},
		{"enum", func(s string) error { r.enum = strings.Split(s, ","); return needs(nil, t, kindString) }},
	} {
		text, ok := tag.Lookup(one.tag)
		if !ok {
			continue
		}
		if err := one.read(text); err != nil {
			return nil, fmt.Errorf("its tag %s:%q: %w", one.tag, text, err)
		}
		some = true
	}
	if !some {
		return nil, nil
	}
	return r, nil
}

func needs(err error, t *Type, want ...kind) error {
	if err == nil && !slices.Contains(want, t.base().kind) {
		err = fmt.Errorf("it does not suit a %s", t.goType)
	}
	return err
}

// base is the type behind optionals.
func (t *Type) base() *Type {
	for t.kind == kindOptional {
		t = t.elem
	}
	return t
}

func bound(s string, t *Type) (*big.Float, error) {
	f, _, err := big.ParseFloat(s, 10, 256, big.ToNearestEven)
	return f, needs(err, t, kindInt, kindUint, kindFloat, kindBig)
}

func length(s string, t *Type) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n < 0 {
		err = fmt.Errorf("it is below zero")
	}
	return n, needs(err, t, kindString, kindBytes, kindList, kindSet, kindObject, kindPairs)
}

// check says what is wrong with a value; empty when nothing is. A nil optional is always right.
func (r *rules) check(t *Type, v reflect.Value) string {
	if r == nil {
		return ""
	}
	for t.kind == kindOptional {
		if v.IsNil() {
			return ""
		}
		t, v = t.elem, v.Elem()
	}
	if r.min != nil && compare(t, v, r.min) < 0 {
		return "must be at least " + r.minText
	}
	if r.max != nil && compare(t, v, r.max) > 0 {
		return "must be at most " + r.maxText
	}
	if n := lengthOf(t, v); r.minLength >= 0 && n < r.minLength {
		return "must have at least " + plural(r.minLength, t)
	} else if r.maxLength >= 0 && n > r.maxLength {
		return "must have at most " + plural(r.maxLength, t)
	}
	if r.pattern != nil && !r.pattern.MatchString(v.String()) {
		return "must match " + r.pattern.String()
	}
	if r.enum != nil && !slices.Contains(r.enum, v.String()) {
		return "must be one of " + strings.Join(r.enum, ", ")
	}
	return ""
}

func compare(t *Type, v reflect.Value, to *big.Float) int {
	switch t.kind {
	case kindInt:
		return new(big.Float).SetInt64(v.Int()).Cmp(to)
	case kindUint:
		return new(big.Float).SetUint64(v.Uint()).Cmp(to)
	case kindFloat:
		return big.NewFloat(v.Float()).Cmp(to) // never NaN: no decoder lets one in
	}
	b := v.Interface().(big.Int)
	return new(big.Float).SetInt(&b).Cmp(to)
}

func lengthOf(t *Type, v reflect.Value) int {
	switch t.kind {
	case kindString:
		return utf8.RuneCountInString(v.String())
	case kindBytes, kindList, kindSet, kindObject, kindPairs:
		return v.Len()
	}
	return 0
}

func plural(n int, t *Type) string {
	what := "element"
	switch t.kind {
	case kindString:
		what = "character"
	case kindBytes:
		what = "byte"
	}
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
