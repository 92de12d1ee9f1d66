package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/work/roster"
)

func (a *app) nodesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nodes", Short: "List the nodes", Args: wants(0, 0, "no argument"),
		Long:    "List the nodes of the fleet. A * after the bus marks the node that runs it.",
		Example: "  become nodes\n  become nodes --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.with(ctx, running, func(ctx context.Context, s *session) error {
				nodes, err := s.Nodes(ctx, s.known())
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(listed(nodes))
				}
				t := newTable(a.out, "NODE", "HOST", "PID", "PLATFORM", "VERSION", "PROCESSES", "RSS", "CPU", "UPTIME", "DISK FREE", "BUS", "STATE")
				for _, n := range nodes {
					bus, state := n.Bus, "ready"
					if n.Embedded {
						bus += "*"
					}
					if n.Full != "" {
						state = n.Full
					}
					t.row(short(n.Node), n.Host, n.PID, n.Platform, n.Version, fmt.Sprint(started(n)), size(n.RSS), cpuSeconds(n.CPU), since(n.Started), size(n.DiskFree), bus, state)
				}
				return t.flush()
			})
		},
	}
}

// started counts the processes that really are there.
func started(n roster.Status) int {
	count := 0
	for _, p := range n.Processes {
		if p.PID > 0 {
			count++
		}
	}
	return count
}

// listed makes lists of what is nil, which JSON would call null.
func listed(nodes []roster.Status) []roster.Status {
	out := append([]roster.Status{}, nodes...)
	for i := range out {
		out[i].Processes = append([]roster.ProcessStatus{}, out[i].Processes...)
	}
	return out
}
