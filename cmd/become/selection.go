package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

const patternHelp = `A NAME may be a pattern: 'crunch-*', with *, ? and [a-z], or a regular expression for the whole name
that begins with ^.`

// selection is names, and patterns of names.
type selection struct {
	words   []string
	matches []func(string) bool // nil for a plain name
}

// selecting reads names and patterns.
func selecting(words []string) (selection, error) {
	s := selection{words: words}
	for _, word := range words {
		m, err := matcher(word)
		if err != nil {
			return s, err
		}
		s.matches = append(s.matches, m)
	}
	return s, nil
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

// has says whether a name is selected.
func (s selection) has(name string) bool {
	for i, m := range s.matches {
		if m == nil && s.words[i] == name || m != nil && m(name) {
			return true
		}
	}
	return false
}

// of returns the names that are selected, each once: those of all that match, in their order, and the plain ones, there or not.
// fault.NotFound for a pattern that none matches.
func (s selection) of(all []string) (out []string, err error) {
	add := func(name string) {
		if !slices.Contains(out, name) {
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
			return nil, fault.Text(fault.NotFound, "find", s.words[i], "nothing has a name like that").WithHint("become ps and become names list what there is")
		}
	}
	return out, nil
}
