package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options of a run.
type Options struct {
	// Quick does a tenth of the work. The figures are rougher.
	Quick bool
	// Tiny does next to nothing: to see that the answers are right.
	Tiny bool
	// Alone leaves the peers out.
	Alone bool
	// RequirePeers makes a missing peer an error.
	RequirePeers bool
	// Rounds is how often each side has its turn. Default: the suite's; 1 when Tiny.
	Rounds int
	// Dir is where homes and files are. Default: the system's temporary folder. What
	// disk it is on matters to the jobs.
	Dir string
	// Log says what is going on.
	Log io.Writer
}

// Bench is a run. Close it. Measures may run at the same time, if times do not matter.
type Bench struct {
	Options

	mu    sync.Mutex
	built map[string]string // by package
}

// New makes a run of a suite in a folder of its own.
func New(s Suite, o Options) (*Bench, error) {
	if o.Rounds <= 0 {
		o.Rounds = s.Rounds
		if o.Tiny {
			o.Rounds = 1
		}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	dir, err := os.MkdirTemp(o.Dir, "become-bench-")
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	return &Bench{Options: o, built: map[string]string{}}, nil
}

// Close removes every file.
func (b *Bench) Close() error { return os.RemoveAll(b.Dir) }

// Suite is the measures of one subject.
type Suite struct {
	Name, About string
	// Rounds is how often each side has its turn if nobody says otherwise.
	Rounds int
	// Measures are in the order of the table.
	Measures []Measure
}

// Measure is one or more rows of the table.
type Measure struct {
	Name string
	Run  func(context.Context, *Bench) ([]Row, error)
}

// measureWithin bounds one measure: a hang is an error, not a long wait.
const measureWithin = 10 * time.Minute

// Run does one measure.
func (b *Bench) Run(ctx context.Context, m Measure) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	fmt.Fprintf(b.Log, "%s ", m.Name)
	began := time.Now()
	rows, err := m.Run(ctx, b)
	fmt.Fprintf(b.Log, "(%.1f s)\n", time.Since(began).Seconds())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	for i := range rows {
		rows[i].Judge()
		if b.RequirePeers && rows[i].Missing != "" && !rows[i].Rare {
			return rows, fmt.Errorf("%s: %s", m.Name, rows[i].Missing)
		}
	}
	return rows, nil
}

// Size is how much to do: all, a tenth, or tiny.
func (b *Bench) Size(all, tiny int) int {
	switch {
	case b.Tiny:
		return tiny
	case b.Quick:
		return max(all/10, tiny)
	}
	return all
}

// Product is the module that is measured.
const Product = "github.com/universal-server/become"

// becomeEnv names a command built before.
const becomeEnv = "BECOME_BIN"

// Become is the command, built.
func (b *Bench) Become(ctx context.Context) (string, error) {
	if path := os.Getenv(becomeEnv); path != "" {
		return path, nil
	}
	return b.Build(ctx, Product+"/cmd/become")
}

// Build makes the program in a package, stripped as it is shipped, once.
func (b *Bench) Build(ctx context.Context, pkg string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path := b.built[pkg]; path != "" {
		return path, nil
	}
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
	b.built[pkg] = path
	return path, nil
}

// AtLeast is a goal for our own figure.
func AtLeast(bound float64) *Goal { return &Goal{Bound: bound} }

// AtMost is a goal for our own figure.
func AtMost(bound float64) *Goal { return &Goal{Bound: bound, AtMost: true} }

// Times is a goal for the ratio: so many times the peer's figure.
func Times(bound float64) *Goal { return &Goal{Bound: bound, Ratio: true} }

// AtMostTimes is a goal for the ratio: no more times the peer's figure.
func AtMostTimes(bound float64) *Goal { return &Goal{Bound: bound, AtMost: true, Ratio: true} }
