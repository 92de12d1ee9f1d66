package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
)

func (a *app) homeCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show [DIR]", Short: "Show what is in a home, and where", Args: wants(0, 1, "one DIR at most"),
		Long:    "Show a node's home: whose it is, whether a node runs in it, and its files and folders with their sizes.",
		Example: "  become home show\n  become home show --json | jq -r '.parts[] | select(.name == \"logs\").path'",
		RunE:    func(_ *cobra.Command, args []string) error { return a.showHome(a.homeOf(args)) },
	}
	create := &cobra.Command{
		Use: "create [DIR]", Short: "Make a home", Args: wants(0, 1, "one DIR at most"),
		Long: `Make a folder a node's home. become up and others make theirs by themselves. A folder is taken if it is empty or not there,
is this user's, and nobody else may write to it.`,
		Example: "  become home create ./lab\n  become up --home ./lab",
		RunE:    func(_ *cobra.Command, args []string) error { return a.createHome(a.homeOf(args)) },
	}
	destroy := &cobra.Command{
		Use: "destroy DIR", Short: "Remove a home with all that is in it", Args: wants(1, 1, "one DIR"),
		Long: `Remove a home: names, services, jobs, code, logs, and the fleet's key if it is in it. Nothing is touched in a folder that is no home,
while a node runs in it, or when something else lies in it.`,
		Example: "  become home destroy ./lab",
		RunE:    func(_ *cobra.Command, args []string) error { return a.destroyHome(args[0]) },
	}
	cmd := &cobra.Command{
		Use: "home", Short: "Make, look at and remove nodes' homes", Args: cobra.ArbitraryArgs, RunE: onlySubcommands,
		Long:    "A home is all that a node keeps on its machine, in one folder.",
		Example: "  become home show\n  become home create ./lab\n  become home destroy ./lab",
	}
	cmd.AddCommand(show, create, destroy)
	return cmd
}

// homeOf is the folder that is named, or else the usual one.
func (a *app) homeOf(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return a.homeDir()
}

func (a *app) showHome(dir string) error {
	info, err := home.Look(dir)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(info)
	}
	state := "no node runs in it"
	if n := info.Node; n != nil {
		state = fmt.Sprintf("node %s runs in it, process %d, bus %s", n.Node, n.PID, n.URL)
	}
	fmt.Fprintf(a.out, "%s: home of node %s; %s\n", printable(info.Dir, false), printable(info.ID, false), printable(state, false))
	t := newTable(a.out, "PART", "FILES", "SIZE", "IS")
	for _, p := range info.Parts {
		t.row(p.Name, p.Files, size(p.Bytes), p.About)
	}
	return t.flush()
}

func (a *app) createHome(dir string) error {
	if info, err := home.Look(dir); err == nil {
		return fault.Text(fault.Conflict, "create home", info.Dir, "it is one already").WithHint("become home show " + info.Dir)
	}
	h, err := home.Open(dir)
	if err != nil {
		return err
	}
	fields := map[string]string{"created": h.Dir(), "id": h.ID()}
	text := fmt.Sprintf("created %s, home of node %s", h.Dir(), h.ID())
	if err := h.Close(); err != nil {
		return err
	}
	return a.done(fields, text)
}

func (a *app) destroyHome(dir string) error {
	if err := home.Destroy(dir); err != nil {
		return err
	}
	return a.done(map[string]string{"destroyed": dir}, "destroyed "+dir)
}
