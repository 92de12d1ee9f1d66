package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// upgradeWithin is how long a node may take, with the time that it gives its tasks and services.
const upgradeWithin = time.Minute

// upgraded is a node that was replaced.
type upgraded struct {
	Node   string `json:"node"`
	Host   string `json:"host"`
	PID    int    `json:"pid"`
	Before string `json:"before"` // versions
	Now    string `json:"now"`
}

func (a *app) upgradeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "upgrade [NODE...]", Short: "Replace nodes by the version that is installed now",
		Args: cobra.ArbitraryArgs,
		Long: `Replace nodes by the version of become that is installed now at the path which each was started from, one after the
other: all nodes, or those whose ids begin so, or of these hosts. The process stays; so do the sockets of its services and their
processes, and no connection fails. Processes that run functions end: their tasks may go on for ten seconds, then they run again,
in new processes. The bus is away for a moment, if it is the node's.

Stock servers serve on in the version that they were started with; become restart replaces them too.

The installed version is asked first whether it can take over. If not, nothing changes and the first such node ends the command.`,
		Example: "  become upgrade\n  become upgrade 7k2 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), running, func(ctx context.Context, s *session) error { return a.upgrade(ctx, s, args) })
		},
	}
}

func (a *app) upgrade(ctx context.Context, s *session, which []string) error {
	all, err := s.Nodes(ctx, s.known())
	if err != nil {
		return err
	}
	chosen, err := chosenNodes(all, which)
	if err != nil {
		return err
	}
	for _, n := range chosen {
		within, cancel := context.WithTimeoutCause(ctx, upgradeWithin, errTimeout(upgradeWithin))
		now, err := s.Upgrade(within, n)
		cancel()
		if err != nil {
			return err
		}
		done := upgraded{Node: n.Node, Host: n.Host, PID: now.PID, Before: n.Version, Now: now.Version}
		if a.json {
			a.printLine(done)
			continue
		}
		fmt.Fprintf(a.out, "become: node %s on %s is become %s now, before %s\n", done.Node, done.Host, done.Now, done.Before)
	}
	return nil
}

// chosenNodes returns those that are meant, each once.
func chosenNodes(all []roster.Status, which []string) (chosen []roster.Status, err error) {
	if len(which) == 0 {
		return all, nil
	}
	used := make([]bool, len(which))
	for _, n := range all {
		mine := false
		for i, w := range which {
			if w != "" && (strings.HasPrefix(n.Node, w) || n.Host == w) {
				used[i], mine = true, true
			}
		}
		if mine {
			chosen = append(chosen, n)
		}
	}
	for i, w := range which {
		if !used[i] {
			return nil, fault.Text(fault.NotFound, "upgrade node", w, "there is no such node").WithHint("become nodes lists them")
		}
	}
	return chosen, nil
}
