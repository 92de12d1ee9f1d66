package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
)

const patternHelp = `A NAME may be a pattern: 'crunch-*', with *, ? and [a-z], or a regular expression for the whole name
that begins with ^. --except leaves out the names that are selected by another.`

// selection is names, and patterns of names.
type selection struct {
	words   []string
	matches []func(string) bool // nil for a plain name
	except  *selection          // nil: none
}

// selecting reads names and patterns, and those that are left out.
func selecting(words, except []string) (selection, error) {
	s := selection{words: words}
	for _, word := range words {
		m, err := matcher(word)
		if err != nil {
			return s, err
		}
		s.matches = append(s.matches, m)
	}
	if len(except) > 0 {
		out, err := selecting(except, nil)
		s.except = &out
		return s, err
	}
	return s, nil
}

// addExcept adds the flag that leaves names out.
func addExcept(f *pflag.FlagSet, except *[]string) {
	f.StringArrayVar(except, "except", nil, "but not those of this `name` or pattern; may be repeated")
}

// matcher is what a pattern means; nil for a plain name.
func matcher(word string) (func(string) bool, error) {
	switch {
	case strings.HasPrefix(word, "^"):
		r, err := regexp.Compile(`\A(?:` + word + `)\z`)
		if err != nil {
			return nil, usage(`as in '^crunch-\d+'`, "%q is no regular expression: %s", word, wrongRegexp(word))
		}
		return r.MatchString, nil
	case strings.ContainsAny(word, "*?["):
		if _, err := path.Match(word, ""); err != nil {
			return nil, usage("as in 'crunch-*'", "%q is no pattern", word)
		}
		return func(name string) bool { ok, _ := path.Match(word, name); return ok }, nil
	}
	return nil, nil
}

// wrongRegexp says what is wrong with a regular expression.
func wrongRegexp(text string) string {
	_, err := syntax.Parse(text, syntax.Perl)
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Sprintf("%s: %s", bad.Code, bad.Expr)
	}
	return "it is too large"
}

// plain says that there is no pattern.
func (s selection) plain() bool {
	return !slices.ContainsFunc(s.matches, func(m func(string) bool) bool { return m != nil })
}

// leftOut says whether a name is not meant though it is selected.
func (s selection) leftOut(name string) bool { return s.except != nil && s.except.has(name) }

// has says whether a name is selected. Without words all are.
func (s selection) has(name string) bool {
	if s.leftOut(name) {
		return false
	}
	if len(s.words) == 0 {
		return true
	}
	for i, m := range s.matches {
		if m == nil && s.words[i] == name || m != nil && m(name) {
			return true
		}
	}
	return false
}

// of returns the names that are selected, each once: those of all that match, in their order, and the plain ones, there or not.
// fault.NotFound for a pattern that none matches, and when all are left out.
func (s selection) of(all []string) (out []string, err error) {
	defer func() {
		if err == nil && len(out) == 0 {
			err = fault.Text(fault.NotFound, "find", strings.Join(s.words, " "), "--except leaves nothing of it")
		}
	}()
	add := func(name string) {
		if !slices.Contains(out, name) && !s.leftOut(name) {
			out = append(out, name)
		}
	}
	for i, m := range s.matches {
		if m == nil {
			add(s.words[i])
			continue
		}
		found := false
		for _, name := range all {
			if m(name) {
				add(name)
				found = true
			}
		}
		if !found {
			return nil, nobodyLike(s.words[i])
		}
	}
	return out, nil
}

func nobodyLike(pattern string) error {
	return fault.Text(fault.NotFound, "find", pattern, "nothing has a name like that").WithHint("become ps and become names list what there is")
}
