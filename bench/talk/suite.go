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
		{Name: "get", Run: get},
		{Name: "xmlrpc", Run: xmlrpc},
		{Name: "session", Run: session},
		{Name: "bus", Run: overBus},
		{Name: "life", Run: life},
	},
}

// serving starts an example alone, and returns where it serves.
func serving(ctx context.Context, b *rig.Bench, example string) (addr string, stop func(), err error) {
	child, addr, err := started(ctx, b, example, nil)
	if err != nil {
		return "", nil, err
	}
	return addr, child.Stop, nil
}

func started(ctx context.Context, b *rig.Bench, example string, env []string, args ...string) (*rig.Child, string, error) {
	program, err := b.Build(ctx, rig.Product+"/examples/"+example)
	if err != nil {
		return nil, "", err
	}
	argv := append([]string{"/bin/sh", "-c", `exec "$0" "$@" 2>&1`, program, "--listen", "127.0.0.1:0"}, args...)
	child, err := rig.Start(example, append(env, "XDG_CONFIG_HOME="+filepath.Join(b.Dir, "config")), argv...)
	if err != nil {
		return nil, "", err
	}
	line, err := child.Line(ctx)
	_, addr, ok := strings.Cut(line, ": serving on ")
	if err == nil && !ok {
		err = fmt.Errorf("%s says %q", example, line)
	}
	if err != nil {
		child.Stop()
		return nil, "", err
	}
	return child, addr, nil
}
