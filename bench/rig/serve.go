package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Answer is what a process says to one question.
type Answer struct {
	// Value is the figure asked for.
	Value float64 `json:"value"`
	// More are figures that explain it.
	More map[string]float64 `json:"more,omitempty"`
	// Error says why there is none.
	Error string `json:"error,omitempty"`
}

// Asked answers one kind of question; n is how much of it is to be done.
type Asked func(ctx context.Context, n int) (Answer, error)

// Serve answers questions, "name n" on a line of in, each with an [Answer] as
// JSON on a line of out, until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, questions map[string]Asked) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		a, err := answer(ctx, lines.Text(), questions)
		if err != nil {
			a = Answer{Error: err.Error()}
		}
		line, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(ctx context.Context, question string, questions map[string]Asked) (Answer, error) {
	name, count, _ := strings.Cut(question, " ")
	f := questions[name]
	if f == nil {
		return Answer{}, fmt.Errorf("no question %q, there are %v", name, slices.Sorted(maps.Keys(questions)))
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return Answer{}, fmt.Errorf("how many? %w", err)
	}
	return f(ctx, n)
}
