package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

var pair = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.-]*)=`)

const argsHelp = `Each argument is JSON if it can be read as such, else text: 12, true, '{"a":1}', hello.
Several become one array; k=v pairs become one object; - reads JSON from standard input.`

// input makes one JSON value of the arguments; none is nil.
func input(args []string, stdin io.Reader) (json.RawMessage, error) {
	pairs := 0
	for _, s := range args {
		if pair.MatchString(s) {
			pairs++
		}
	}
	switch {
	case len(args) == 0:
		return nil, nil
	case pairs == len(args):
		return object(args)
	case pairs > 0:
		return nil, usage(`give either pairs or plain arguments; a text with = in it is written '"k=v"'`, "k=v pairs and plain arguments are mixed")
	}
	values := make([]json.RawMessage, len(args))
	read := false
	for i, s := range args {
		if s == "-" {
			if read {
				return nil, usage("give - once", "standard input can be read once only")
			}
			read = true
			b, err := io.ReadAll(stdin)
			if err != nil {
				return nil, err
			}
			if values[i] = bytes.TrimSpace(b); !json.Valid(values[i]) {
				return nil, usage("it must be one JSON value; a text is written between quotes", "what standard input gives is no JSON")
			}
			continue
		}
		values[i] = value(s)
	}
	if len(values) == 1 {
		return values[0], nil
	}
	return json.Marshal(values)
}

// object makes one object of k=v pairs, in their order; the last of equal keys counts.
func object(pairs []string) (json.RawMessage, error) {
	last := map[string]int{}
	for i, s := range pairs {
		k, _, _ := strings.Cut(s, "=")
		last[k] = i
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, s := range pairs {
		k, v, _ := strings.Cut(s, "=")
		if last[k] != i {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(text(k))
		b.WriteByte(':')
		b.Write(value(v))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// value reads one argument.
func value(s string) json.RawMessage {
	if json.Valid([]byte(s)) {
		return json.RawMessage(strings.TrimSpace(s))
	}
	return text(s)
}

// text returns s as a JSON string.
func text(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}
