package main

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

const templateHelp = `With --count the same becomes several services. In --name, --listen, --settings and the arguments and flags of a stock server
{number} is the number of each, from --start in steps of --step, {uuid} an identity of its own, {executable} the
file's or folder's name, and {name} the name that comes of it.`

// many says how many services a deployment is.
type many struct{ count, start, step int }

func (m *many) add(f *pflag.FlagSet) {
	f.IntVar(&m.count, "count", 1, "deploy so many `services`; --name is a template then, as in crunch-{number}")
	f.IntVar(&m.start, "start", 0, "the first one's `number`")
	f.IntVar(&m.step, "step", 1, "from one's `number` to the next")
}

// mostAtOnce is how many services one command deploys.
const mostAtOnce = 1000

// replica is one of the services, and what fills its templates.
type replica struct {
	name string
	fill func(string) string
}

// replicas returns the services that a name, or "" for executable's, stands for.
func (m many) replicas(name, executable string) ([]replica, error) {
	if name == "" {
		name = executable
		if m.count > 1 {
			name += "-{number}"
		}
	}
	if m.count < 1 || m.count > mostAtOnce || m.start < 0 || m.step < 1 {
		return nil, usage("as in --count 3 --start 0 --step 1", "--count is from 1 to %d, --start at least 0, and --step at least 1", mostAtOnce)
	}
	var all []replica
	for i := range m.count {
		words := []string{"{number}", strconv.Itoa(m.start + i*m.step), "{uuid}", newUUID(), "{executable}", executable}
		own := strings.NewReplacer(words...).Replace(name)
		if slices.ContainsFunc(all, func(r replica) bool { return r.name == own }) {
			return nil, usage("as in --name 'crunch-{number}'", "--count %d needs a {number} or {uuid} in --name", m.count)
		}
		if err := checkName(own); err != nil {
			return nil, err
		}
		all = append(all, replica{own, strings.NewReplacer(append(words, "{name}", own)...).Replace})
	}
	return all, nil
}

// newUUID is a random identity (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// filled returns the flags with their templates filled; nil leaves them.
func (s specFlags) filled(fill func(string) string) *specFlags {
	if fill == nil {
		return &s
	}
	s.spec.Listen = filledAll(s.spec.Listen, fill)
	s.settings = fill(s.settings)
	return &s
}

func filledAll(all []string, fill func(string) string) (out []string) {
	for _, text := range all {
		out = append(out, fill(text))
	}
	return out
}
