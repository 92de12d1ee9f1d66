package roster

import (
	"regexp"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/slogs"
)

// shortestID is how much of a bundle's digest or a worker's id has to be given: a service may be named a.
const shortestID = 4

// Match returns what says whether a line is one that the query selects. A node answers with no others, but one of an older version may
// not know all that is asked: who asks looks again. The error is that of Grep.
func (q LogQuery) Match() (func(LogLine) bool, error) {
	var grep *regexp.Regexp
	if q.Grep != "" {
		var err error
		if grep, err = regexp.Compile(q.Grep); err != nil {
			return nil, err
		}
	}
	return func(l LogLine) bool {
		return !l.Time.Before(q.Since) && (q.Until.IsZero() || l.Time.Before(q.Until)) && l.isOf(q.Of) &&
			(grep == nil || grep.MatchString(l.Text)) && (!q.Samples || isSample(l.Text))
	}, nil
}

// isOf says whether a line is of any of these names, bundles or workers.
func (l LogLine) isOf(of []string) bool {
	return len(of) == 0 || slices.ContainsFunc(of, func(what string) bool {
		return l.Name == what || l.Worker == what || strings.HasPrefix(l.Worker, what+".") ||
			len(what) >= shortestID && (strings.HasPrefix(l.Bundle, what) || !strings.Contains(l.Worker, ".") && strings.HasPrefix(l.Worker, what))
	})
}

func isSample(text string) bool {
	l, ok := slogs.Parse(text)
	return ok && l.Tag == slogs.Sampled
}
