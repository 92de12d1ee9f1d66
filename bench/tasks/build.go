package tasks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The module that is measured, and the environment that names a command built before.
const (
	product   = "github.com/universal-server/become"
	becomeEnv = "BECOME_BIN"
)

// build makes the command and the program, stripped as they are shipped.
func (b *Bench) build(ctx context.Context) error {
	var err error
	if b.become = os.Getenv(becomeEnv); b.become == "" {
		if b.become, err = b.goBuild(ctx, product+"/cmd/become"); err != nil {
			return err
		}
	}
	b.program, err = b.goBuild(ctx, product+"/bench/program")
	return err
}

func (b *Bench) goBuild(ctx context.Context, pkg string) (string, error) {
	fmt.Fprintf(b.Log, "building %s\n", pkg)
	// Each in its own module: the command must not get the versions of a peer's dependencies.
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg)
	dir, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", pkg, err)
	}
	path := filepath.Join(b.Dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Dir = strings.TrimSpace(string(dir))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}
