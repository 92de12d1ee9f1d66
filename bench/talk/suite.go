package talk

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/universal-server/become/bench/rig"
)

// Suite is the measures of APIs.
var Suite = rig.Suite{
	Name: "talk", About: "typed APIs", Rounds: 15,
	Measures: []rig.Measure{
		{Name: "session", Run: session},
	},
}

// crunch starts examples/crunch alone, and returns where it serves.
func crunch(ctx context.Context, b *rig.Bench) (addr string, stop func(), err error) {
	program, err := b.Build(ctx, rig.Product+"/examples/crunch")
	if err != nil {
		return "", nil, err
	}
	child, err := rig.Start("crunch", []string{"XDG_CONFIG_HOME=" + filepath.Join(b.Dir, "config")},
		"/bin/sh", "-c", `exec "$0" "$@" 2>&1`, program, "--listen", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	line, err := child.Line(ctx)
	_, addr, ok := strings.Cut(line, ": serving on ")
	if err == nil && !ok {
		err = fmt.Errorf("crunch says %q", line)
	}
	if err != nil {
		child.Stop()
		return "", nil, err
	}
	return addr, child.Stop, nil
}
