package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/stock"
)

// warmWithin is how long a new version may take until a worker of it is ready.
const warmWithin = 30 * time.Second

const deployLong = `Let a name become this code: a .js or .ts file, a Go package, or an executable
built from one. A worker of the new version is started first; only when it is ready the name
points at it. From then on calls by that name use the new code, those that run finish on theirs.
If it does not start, nothing changes.

With --listen, or any other flag of a service, the name becomes a service on the fleet's nodes: each opens the
sockets and starts --procs processes on them. Deploying again swaps the version while no connection
fails. One that does not become ready, or dies too often in its first ten seconds, is taken back by itself, and
become ps says why. Then: start, stop, restart, scale, pause, resume, rollback, rm, logs. The stock servers of become
serve are services too: paths in their settings are those of the nodes.

` + templateHelp + `

` + limitHelp

const deployExample = `  become deploy ./square.js
  become deploy ./examples/crunch
  become deploy --name area ./geometry.ts
  become deploy ./examples/hello --listen :8080 --procs 4
  become deploy ./examples/hello --name 'hello-{number}' --count 3 --start 1 --listen ':808{number}'
  become deploy static ./site --name docs --listen :8000
  become rollback square`

// deployTarget is what shall become the code, as flags say.
type deployTarget struct {
	name    string
	nodes   []string
	several many
}

func (t *deployTarget) add(f *pflag.FlagSet) {
	t.several.add(f)
	f.StringVar(&t.name, "name", "", "deploy under this `name` (default the file's or folder's)")
	f.StringArrayVar(&t.nodes, "node", nil, "serve on this `node` only: its id or host; may be repeated (default all)")
}

func (a *app) deployCommand() *cobra.Command {
	var to deployTarget
	var flags specFlags
	cmd := &cobra.Command{
		Use: "deploy PATH", Short: "Let a name become this code", Long: deployLong, Example: deployExample,
		Args: wants(1, 1, "one PATH, or the name of a stock server"), ValidArgsFunction: completePath,
	}
	to.add(cmd.Flags())
	flags.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(to.nodes) > 0 || flags.given(cmd) {
			err := a.deployRoles(cmd.Context(), to, args[0], func(fill func(string) string) (master.Spec, error) {
				return flags.filled(fill).read(cmd)
			})
			return likeStock(cmd, args[0], err)
		}
		if to.several.count != 1 {
			return usage("as in --count 3 --listen :0", "--count is for services")
		}
		return likeStock(cmd, args[0], a.deployFunctions(cmd.Context(), to.name, args[0]))
	}
	cmd.AddCommand(stockCommands("become deploy", to.add, func(cmd *cobra.Command, s stock.Server, read specReader) error {
		return a.deployRoles(cmd.Context(), to, s.Name, read)
	})...)
	return cmd
}

// deployFunctions lets a name become the functions of a piece of code.
func (a *app) deployFunctions(ctx context.Context, name, path string) error {
	name = cmp.Or(name, nameOf(path))
	if err := checkName(name); err != nil {
		return err
	}
	c, err := a.load(ctx, path)
	if err != nil {
		return a.why(ctx, err)
	}
	if len(c.manifest.Exports) == 0 {
		return fault.Text(fault.Invalid, "deploy", path, "it offers no function").WithHint(serviceHint(c.manifest))
	}
	return a.with(ctx, kept, func(ctx context.Context, s *session) error {
		err := a.roleOr(ctx, s, name, func(*role.Store, role.Role) error { return refuseOther(name, "a service") }, func() error { return nil })
		if err != nil {
			return err
		}
		return a.swapFunctions(ctx, s, name, c)
	})
}

// swapFunctions points a name at code of which a worker is ready.
func (a *app) swapFunctions(ctx context.Context, s *session, name string, c *code) error {
	before, err := s.Resolve(ctx, name)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if err := a.ship(ctx, s, c); err != nil {
		return err
	}
	if err := s.Warm(ctx, c.manifest.Digest, warmWithin); err != nil {
		return fault.New(fault.KindOf(err), "deploy", name, err)
	}
	now, err := s.Deploy(ctx, name, c.manifest.Digest, functions(c.manifest), me())
	if err != nil {
		return err
	}
	return a.changed(name, before.Digest, now)
}

func checkName(name string) error {
	if !goodName.MatchString(name) {
		return usage("give one with --name: letters, digits, '_' and '-'", "%q cannot be a name", name)
	}
	return nil
}

// serviceHint tells what to do with code that has no function.
func serviceHint(m bundle.Manifest) string {
	if len(m.Services) == 0 {
		return "declare one with become.Func, or a service and call become.Serve"
	}
	return "it is a service: become serve PATH, or become deploy PATH --listen :8080"
}

// nameOf derives a name from a path.
func nameOf(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	base := filepath.Base(full)
	if isScript(base) || strings.HasSuffix(base, ".go") || strings.HasSuffix(base, ".exe") {
		base = strings.TrimSuffix(base, filepath.Ext(base))
	}
	return base
}

// me says who changes a name.
func me() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// changed tells what a name was and is.
func (a *app) changed(name, old string, now fleet.Deployment) error {
	if a.json {
		return a.printJSON(map[string]any{"name": name, "old": old, "digest": now.Digest, "functions": now.Functions, "changed": old != now.Digest})
	}
	what := strings.Join(now.Functions, ", ")
	var err error
	switch old {
	case now.Digest:
		_, err = fmt.Fprintf(a.out, "%s: %s, unchanged (%s)\n", name, short(old), what)
	case "":
		_, err = fmt.Fprintf(a.out, "%s: new → %s (%s)\n", name, short(now.Digest), what)
	default:
		_, err = fmt.Fprintf(a.out, "%s: %s → %s (%s)\n", name, short(old), short(now.Digest), what)
	}
	return err
}
