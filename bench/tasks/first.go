package tasks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-server/become/bench/rig"
)

// first: the first answer of a bundle that is stored and of which no process
// runs, as a boss sees it that has just connected; then the same of a script.
func (b *bench) first(ctx context.Context) ([]rig.Row, error) {
	n, err := b.up(ctx, "--idle", "100ms")
	if err != nil {
		return nil, err
	}
	defer n.stop()
	script := filepath.Join(n.home, "square.js")
	if err := os.WriteFile(script, []byte("export const square = n => n * n\n"), 0o600); err != nil {
		return nil, err
	}
	if err := n.command(ctx, "deploy", script); err != nil {
		return nil, err
	}
	boss, err := n.start()
	if err != nil {
		return nil, err
	}
	if _, err := boss.Ask(ctx, "first", 2); err != nil { // it is stored now
		return nil, err
	}
	rounds := b.Size(7, 1)
	if b.Quick {
		rounds = 3
	}
	cold := func(question string, second *[]float64) rig.Side {
		return func(ctx context.Context) (float64, error) {
			if err := n.quiet(ctx); err != nil {
				return 0, err
			}
			a, err := boss.Ask(ctx, question, 3)
			*second = append(*second, a.More["second"])
			return a.Value, err
		}
	}
	var program, js []float64
	m, err := rig.InTurns(ctx, rounds, cold("first", &program), cold("js", &js))
	if err != nil {
		return nil, err
	}
	return []rig.Row{
		{Measure: "first answer of a stored bundle that is not running", Unit: "ms", Us: m[0], Goal: rig.AtMost(100),
			Note: fmt.Sprintf("the second answer takes %.0f µs", rig.Median(program))},
		{Measure: "first answer of a JS function that is not running", Unit: "ms", Us: m[1], Goal: rig.AtMost(20),
			Note: fmt.Sprintf("the second answer takes %.0f µs", rig.Median(js))},
	}, nil
}
