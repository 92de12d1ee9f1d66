package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/cmd/become/scaffold"
	"github.com/universal-server/become/ground/fault"
)

func (a *app) newCommand() *cobra.Command {
	m := scaffold.Module{}
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Begin an API in a module of its own",
		Long: `Begin an API in a module of its own: the folder NAME with a program, its test and a README, ready for
go run and go test. NAME may be a module's path; the last part of it names the API and the folder.`,
		Example: `  become new crunch && cd crunch && go run .
  become new example.com/team/crunch --dir services/crunch`,
		Args: wants(1, 1, "the API's name"),
	}
	cmd.Flags().StringVar(&m.Dir, "dir", "", "the `folder`; default: the API's name")
	cmd.Flags().StringVar(&m.Replace, "replace", "", "use the sources of become in this `folder`, not a release")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m.Path, m.Name = args[0], path.Base(args[0])
		if m.Dir == "" {
			m.Dir = m.Name
		}
		if err := become(&m); err != nil {
			return err
		}
		if err := scaffold.Write(cmd.Context(), m); err != nil {
			return a.why(cmd.Context(), err)
		}
		if a.json {
			return a.printJSON(map[string]string{"name": m.Name, "module": m.Path, "dir": m.Dir})
		}
		next := "go run ."
		if inWorkspace(cmd.Context(), m.Dir) {
			next = "go work use . && " + next
		}
		_, err := fmt.Fprintf(a.out, "%s is in %s: cd %s && %s\n", m.Name, m.Dir, m.Dir, next)
		return err
	}
	return cmd
}

// inWorkspace says whether a go.work above the folder decides which modules there are.
func inWorkspace(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "go", "env", "GOWORK")
	cmd.Dir = dir
	out, err := cmd.Output()
	file := strings.TrimSpace(string(out))
	return err == nil && file != "" && file != "off"
}

var released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)[0-9A-Za-z.-]*)?$`)

// become says which become the module is to use: this one's release, or the sources that this one was built from.
func become(m *scaffold.Module) error {
	if m.Replace == "" && released.MatchString(version()) {
		m.Version = version()
		return nil
	}
	if m.Replace == "" {
		_, file, _, _ := runtime.Caller(0)
		m.Replace = filepath.Dir(filepath.Dir(filepath.Dir(file)))
	}
	text, err := os.ReadFile(filepath.Join(m.Replace, "go.mod"))
	if err != nil || !strings.HasPrefix(string(text), "module "+scaffold.Become+"\n") {
		return fault.Text(fault.NotFound, "find become's sources in", m.Replace, "there is no module "+scaffold.Become).
			WithHint("this is no release of become: give the folder of its sources with --replace")
	}
	return nil
}
