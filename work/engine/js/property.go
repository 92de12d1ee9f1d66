package js

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/dop251/goja/ast"
)

// The interpreter takes \p{L} for the letters p{L}. So the ranges are written out: in
// literals before they are compiled, and by the RegExp of the prelude for the others,
// among them those that esbuild makes of literals.

func usesProperties(source string) bool {
	return strings.Contains(source, `\p{`) || strings.Contains(source, `\P{`)
}

// expandLiterals rewrites the regular expressions of a syntax tree. The tree has no
// visitor, so this looks at everything that belongs to it.
func expandLiterals(tree *ast.Program) error {
	pkg := reflect.TypeFor[ast.Program]().PkgPath()
	seen := make(map[any]bool)
	var walk func(v reflect.Value) error
	walk = func(v reflect.Value) error {
		switch v.Kind() {
		case reflect.Interface:
			return walk(v.Elem())
		case reflect.Pointer:
			if v.IsNil() || v.Type().Elem().PkgPath() != pkg || seen[v.Interface()] {
				return nil
			}
			seen[v.Interface()] = true
			if r, ok := v.Interface().(*ast.RegExpLiteral); ok && strings.Contains(r.Flags, "u") {
				var err error
				r.Pattern, err = expandProperties(r.Pattern)
				return err
			}
			return walk(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				if err := walk(v.Index(i)); err != nil {
					return err
				}
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					if err := walk(v.Field(i)); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	return walk(reflect.ValueOf(tree))
}

func expandProperties(pattern string) (string, error) {
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+2 < len(pattern) && (pattern[i+1] == 'p' || pattern[i+1] == 'P') && pattern[i+2] == '{':
			end := strings.IndexByte(pattern[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("invalid regular expression: %s", pattern)
			}
			tables, err := property(pattern[i+3 : i+end])
			if err != nil {
				return "", err
			}
			ranges := writeRanges(tables, pattern[i+1] == 'P')
			if !class {
				ranges = "[" + ranges + "]"
			}
			b.WriteString(ranges)
			i += end
		case c == '\\' && i+1 < len(pattern):
			b.WriteString(pattern[i : i+2])
			i++
		default:
			if c == '[' {
				class = true
			} else if c == ']' {
				class = false
			}
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func property(name string) ([]*unicode.RangeTable, error) {
	key, value, named := strings.Cut(name, "=")
	var table *unicode.RangeTable
	switch {
	case named && (key == "Script" || key == "sc" || key == "Script_Extensions" || key == "scx"):
		table = unicode.Scripts[value]
	case named && (key == "General_Category" || key == "gc"):
		table = category(value)
	case named:
	case name == "Any":
		return []*unicode.RangeTable{{R32: []unicode.Range32{{Lo: 0, Hi: unicode.MaxRune, Stride: 1}}}}, nil
	case name == "ASCII":
		return []*unicode.RangeTable{{R16: []unicode.Range16{{Lo: 0, Hi: 0x7f, Stride: 1}}}}, nil
	case name == "Alphabetic" || name == "Alpha":
		return []*unicode.RangeTable{unicode.L, unicode.Nl, unicode.Other_Alphabetic}, nil
	case name == "Uppercase" || name == "Upper":
		return []*unicode.RangeTable{unicode.Lu, unicode.Other_Uppercase}, nil
	case name == "Lowercase" || name == "Lower":
		return []*unicode.RangeTable{unicode.Ll, unicode.Other_Lowercase}, nil
	default:
		if table = category(name); table == nil {
			table = unicode.Properties[name]
		}
	}
	if table == nil {
		return nil, fmt.Errorf("invalid property name %s in a regular expression", name)
	}
	return []*unicode.RangeTable{table}, nil
}

func category(name string) *unicode.RangeTable {
	if long, ok := unicode.CategoryAliases[name]; ok {
		name = long
	}
	return unicode.Categories[name]
}

// span is an unbroken run of characters.
type span struct{ lo, hi rune }

// writeRanges writes the runs of characters that are in one of the tables, or in none.
func writeRanges(tables []*unicode.RangeTable, negate bool) string {
	var spans []span
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			spans = append(spans, span{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			spans = append(spans, span{r, r})
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	spans = merge(spans)
	if negate {
		spans = complement(spans)
	}
	var b strings.Builder
	for _, s := range spans {
		// Surrogates are no characters here.
		writeSpan(&b, s.lo, min(s.hi, 0xd7ff))
		writeSpan(&b, max(s.lo, 0xe000), s.hi)
	}
	return b.String()
}

func writeSpan(b *strings.Builder, lo, hi rune) {
	if lo <= hi {
		fmt.Fprintf(b, `\u{%x}-\u{%x}`, lo, hi)
	}
}

func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(a.lo - b.lo) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
		} else {
			out = append(out, s)
		}
	}
	return out
}

func complement(spans []span) []span {
	var out []span
	next := rune(0)
	for _, s := range spans {
		if s.lo > next {
			out = append(out, span{next, s.lo - 1})
		}
		next = s.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, span{next, unicode.MaxRune})
	}
	return out
}
