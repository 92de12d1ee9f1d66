package message

import (
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a message.
type Problem struct {
	// Path is where: "items[3].price"; empty for the message itself.
	Path string `json:"path"`
	// Text is what: "must be at least 1".
	Text string `json:"text"`
	// Rule says that the value is well-formed and its type's, but breaks a rule.
	Rule bool `json:"-"`
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Text
	}
	return p.Path + ": " + p.Text
}

// Problems are all that were found, in the order of the message. It is an error.
type Problems []Problem

// maxProblems is how many are worth telling.
const maxProblems = 20

// Error joins them with "; ".
func (p Problems) Error() string {
	all := make([]string, len(p))
	for i, one := range p {
		all[i] = one.String()
	}
	return strings.Join(all, "; ")
}

// OnlyRules says whether all of them are about rules: the message could be read.
func (p Problems) OnlyRules() bool {
	for _, one := range p {
		if !one.Rule {
			return false
		}
	}
	return true
}

// step is a part of a path: a name, or if that is empty an index.
type step struct {
	name  string
	index int
}

func pathOf(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case b.Len() == 0:
			b.WriteString(s.name)
		default:
			b.WriteString("." + s.name)
		}
	}
	return b.String()
}
