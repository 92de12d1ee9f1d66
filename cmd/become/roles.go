package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/role"
)

// roleChange is a command that changes services' records and waits until the nodes have followed.
type roleChange struct {
	use, short, long, example string
	change                    func(ctx context.Context, roles *role.Store, name string) (role.Role, error)
}

func (a *app) roleCommands() []*cobra.Command {
	state := func(to role.State) func(context.Context, *role.Store, string) (role.Role, error) {
		return func(ctx context.Context, roles *role.Store, name string) (role.Role, error) {
			return roles.SetState(ctx, name, to, me())
		}
	}
	var all []*cobra.Command
	for _, c := range []roleChange{
		{"start", "Start stopped services", "Start stopped or failed services: their sockets are opened and their processes started.",
			"  become start hello\n  become start 'crunch-*'", state(role.Running)},
		{"stop", "Stop services", "Stop services: their processes drain, and their sockets are closed. They stay known: become start brings them back, also after the node's restart.",
			"  become stop hello\n  become stop '*' --except 'crunch-*'", state(role.Stopped)},
		{"restart", "Replace services' processes", "Replace services' processes by new ones of the same version, one after another. No connection fails.",
			"  become restart hello", func(ctx context.Context, roles *role.Store, name string) (role.Role, error) {
				return roles.Restart(ctx, name, me())
			}},
		{"pause", "Let connections wait", "Pause services: their processes drain and leave, their sockets stay open, and who connects waits until become resume.",
			"  become pause hello", state(role.Paused)},
		{"resume", "Go on after a pause", "Start the processes of paused services again; who waited is served.",
			"  become resume hello", state(role.Running)},
	} {
		all = append(all, a.roleCommand(c))
	}
	return append(all, a.scaleCommand())
}

func (a *app) scaleCommand() *cobra.Command {
	var except []string
	cmd := &cobra.Command{
		Use: "scale NAME... PROCS", Short: "Change services' number of processes", Example: "  become scale hello 8",
		Long: "Change how many processes services have on each node. Those that are too many drain.\n\n" + patternHelp,
		Args: wants(2, -1, "a NAME and a number"), ValidArgsFunction: a.completeRole,
		RunE: func(cmd *cobra.Command, args []string) error {
			args = unguard(args)
			last := args[len(args)-1]
			n, err := strconv.Atoi(last)
			if err != nil || n < 1 || n > keeper.MaxProcs {
				return usage("as in: become scale hello 4", "%q is no number of processes from 1 to %d", last, keeper.MaxProcs)
			}
			return a.changeRoles(cmd.Context(), args[:len(args)-1], except, func(ctx context.Context, roles *role.Store, name string) (role.Role, error) {
				return roles.Scale(ctx, name, n, me())
			})
		},
	}
	addExcept(cmd.Flags(), &except)
	return cmd
}

func (a *app) roleCommand(c roleChange) *cobra.Command {
	var except []string
	cmd := &cobra.Command{
		Use: c.use + " NAME...", Short: c.short, Long: c.long + "\n\n" + patternHelp, Example: c.example,
		Args: wants(1, -1, "a NAME"), ValidArgsFunction: a.completeRole,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeRoles(cmd.Context(), unguard(args), except, c.change)
		},
	}
	addExcept(cmd.Flags(), &except)
	return cmd
}

// changeRoles changes the services that names and patterns select, and then waits for each.
func (a *app) changeRoles(ctx context.Context, words, except []string, change func(context.Context, *role.Store, string) (role.Role, error)) error {
	chosen, err := selecting(words, except)
	if err != nil {
		return err
	}
	return a.withRoles(ctx, func(ctx context.Context, s *session, roles *role.Store) error {
		var there []string
		if !chosen.plain() {
			if there, err = roleNames(ctx, roles); err != nil {
				return err
			}
		}
		names, err := chosen.of(there)
		if err != nil {
			return err
		}
		all := make([]role.Role, 0, len(names))
		for _, name := range names {
			r, err := change(ctx, roles, name)
			if err != nil {
				return missing(ctx, s, name, wantsService, err)
			}
			all = append(all, r)
		}
		for _, r := range all {
			if err := a.awaitRole(ctx, s, roles, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// withRoles connects to the fleet that runs, and opens its records of services.
func (a *app) withRoles(ctx context.Context, f func(context.Context, *session, *role.Store) error) error {
	return a.with(ctx, running, func(ctx context.Context, s *session) error {
		roles, err := role.Open(ctx, s.Bus())
		if err != nil {
			return err
		}
		return f(ctx, s, roles)
	})
}

// completeRole offers the names of services.
func (a *app) completeRole(cmd *cobra.Command, args []string, start string) (out []string, d cobra.ShellCompDirective) {
	a.near(cmd, func(ctx context.Context, s *session) error {
		roles, err := role.Open(ctx, s.Bus())
		if err != nil {
			return err
		}
		all, err := roleNames(ctx, roles)
		out = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(args, name) })
		return err
	})
	return out, cobra.ShellCompDirectiveNoFileComp
}

// nodeRole is what a node says of a role.
type nodeRole struct {
	Node string `json:"node"`
	Host string `json:"host"`
	role.Status
}

// askRoles asks every node for its services.
func askRoles(ctx context.Context, s *session) (all []nodeRole, err error) {
	err = s.Ask(ctx, role.Subject, struct{}{}, s.known(), func(data []byte) {
		var st role.NodeStatus
		if json.Unmarshal(data, &st) != nil {
			return
		}
		for _, r := range st.Roles {
			all = append(all, nodeRole{st.Node, st.Host, r})
		}
	})
	slices.SortFunc(all, func(x, y nodeRole) int {
		return strings.Compare(x.Name+"\x00"+x.Node, y.Name+"\x00"+y.Node)
	})
	return all, err
}

const (
	// askEvery is the pause between two looks at what the nodes do.
	askEvery = 100 * time.Millisecond
	// noticeWithin is how long nodes may take to notice a role.
	noticeWithin = 5 * time.Second
)

// awaitRole waits until every node that serves the role has followed its record, and tells
// what is there then.
func (a *app) awaitRole(ctx context.Context, s *session, roles *role.Store, want role.Role) error {
	began := time.Now()
	for {
		all, err := askRoles(ctx, s)
		if err != nil {
			return err
		}
		// After that: a node that has followed may have followed what was taken back meanwhile.
		now, err := roles.Get(ctx, want.Name)
		if err != nil {
			return err
		}
		if err := overtaken(want, now); err != nil {
			return err
		}
		mine := slices.DeleteFunc(all, func(r nodeRole) bool { return r.Name != want.Name })
		if len(mine) > 0 && !slices.ContainsFunc(mine, func(r nodeRole) bool { return r.Seen < want.Revision }) {
			return a.followed(want, mine)
		}
		if len(mine) == 0 && time.Since(began) > noticeWithin {
			return fault.Text(fault.NotFound, "serve", want.Name, "no node takes it").WithHint("become nodes lists them; only a node of become up serves")
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return notAwaited(ctx, want.Name)
		}
	}
}

// notAwaited says that what nodes do was not waited for.
func notAwaited(ctx context.Context, name string) error {
	return fault.New(fault.KindOf(ctx.Err()), "wait for", name, context.Cause(ctx)).
		WithHint("it goes on without you: become ps " + name)
}

// overtaken says why what was wanted will not be.
func overtaken(want, now role.Role) error {
	kind := refusedAs(now)
	switch {
	case now.State == role.Failed && now.Now.Number == want.Now.Number:
		return fault.Text(kind, "deploy", want.Name, now.Report).WithHint("mend it and deploy again, or: become rm " + want.Name)
	case now.Now.Number != want.Now.Number && now.Report != "":
		return fault.Text(kind, "deploy", want.Name, now.Report).WithHint("what was there before goes on")
	case now.Now.Number != want.Now.Number:
		return fault.Text(fault.Conflict, "deploy", want.Name, "overtaken by a newer change").WithHint("who made it: become history " + want.Name + " --changes")
	}
	return nil
}

// refusedAs is the kind of error that an edition was taken back for, as far as exit codes know it: an address in use is one on a
// node, too. All else is the program's.
func refusedAs(r role.Role) fault.Kind {
	switch kind := fault.ParseKind(r.Refused); kind {
	case fault.Conflict, fault.Busy, fault.Denied, fault.NotFound:
		return kind
	}
	return fault.Remote
}

// followed tells what the nodes serve now. It is an error when none of them does what it should.
func (a *app) followed(want role.Role, all []nodeRole) error {
	good := 0
	for _, r := range all {
		if r.Reason == "" {
			good++
		} else {
			fmt.Fprintf(a.err, "become: on node %s: %s\n", r.Node, printable(r.Reason, false))
		}
	}
	if good == 0 {
		return fault.Text(fault.Remote, "serve", want.Name, all[0].Reason).WithHint("become ps " + want.Name + " shows what becomes of it")
	}
	if a.json {
		return a.printJSON(map[string]any{"name": want.Name, "edition": want.Now.Number, "state": want.State, "nodes": all})
	}
	for _, r := range all {
		if r.Reason != "" {
			continue
		}
		if _, err := fmt.Fprintf(a.out, "%s: %s\n", want.Name, printable(r.words(), false)); err != nil {
			return err
		}
	}
	return nil
}

// words says in short what a role does on a node.
func (r nodeRole) words() string {
	text := r.State
	switch r.State {
	case "serving":
		text = fmt.Sprintf("serving %s at %s, processes: %d", r.What, r.at(), r.Ready)
	case "paused":
		text = "paused at " + r.at() + ": connections wait"
	}
	return text + ", node " + r.Node
}

// at lists the sockets as a person gives them.
func (r nodeRole) at() string {
	var all []string
	for _, s := range r.Sockets {
		text := s.String()
		if s.Name != "" {
			text = s.Name + "=" + text
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}
