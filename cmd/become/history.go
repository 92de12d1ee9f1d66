package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/runs"
)

func (a *app) historyCommand() *cobra.Command {
	var count int
	var changes bool
	cmd := &cobra.Command{
		Use: "history NAME", Short: "Show a service's processes so far, and who changed it",
		Long: `Show the processes that a service has had on all nodes, the newest last: when each began, how long it ran, and why it
ended. What ended by itself has crashed, whatever its exit status; what ended with its node, killed or without power, is lost, and
the time of that is known to ten seconds. Each node keeps the newest thousand of each service until that is removed.

With --changes show instead what was done to the service, when and by whom: the last hundred times.`,
		Example: `  become history hello
  become history hello --count 100
  become history hello --changes
  become history hello --json | jq '.[] | select(.outcome == "crashed")'`,
		Args: wants(1, 1, "one NAME"), ValidArgsFunction: a.completeRole,
	}
	cmd.Flags().IntVarP(&count, "count", "n", 20, "at most so many `lines`")
	cmd.Flags().BoolVar(&changes, "changes", false, "what was done to it, and by whom")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if count < 1 || count > runs.Most {
			return usage("as in --count 100", "--count is from 1 to %d", runs.Most)
		}
		return a.withRoles(cmd.Context(), func(ctx context.Context, s *session, roles *role.Store) error {
			r, err := findService(ctx, s, roles, args[0])
			if err != nil {
				return err
			}
			if changes {
				return a.printChanges(r.Changes, count)
			}
			all, err := askRuns(ctx, s, runs.Question{Role: r.Name, Count: count})
			if err != nil {
				return err
			}
			return a.printRuns(all[max(0, len(all)-count):])
		})
	}
	return cmd
}

// nodeRun is a run and where it was.
type nodeRun struct {
	Node string `json:"node"`
	Host string `json:"host"`
	runs.Run
	Seconds float64 `json:"seconds"` // that it lasted
}

// askRuns asks every node for the runs of a role; the newest is the last.
func askRuns(ctx context.Context, s *session, q runs.Question) (all []nodeRun, err error) {
	err = s.Ask(ctx, runs.Subject, q, s.known(), func(data []byte) {
		var answer runs.Answer
		if json.Unmarshal(data, &answer) != nil {
			return
		}
		for _, r := range answer.Runs {
			all = append(all, nodeRun{answer.Node, answer.Host, r, r.Lasted(time.Now()).Seconds()})
		}
	})
	slices.SortStableFunc(all, func(x, y nodeRun) int { return x.Started.Compare(y.Started) })
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "read history", q.Role, err)
	}
	return all, nil
}

func (a *app) printRuns(all []nodeRun) error {
	if a.json {
		return a.printJSON(append([]nodeRun{}, all...))
	}
	if len(all) == 0 {
		fmt.Fprintln(a.err, "it has had no process yet")
		return nil
	}
	t := newTable(a.out, "NODE", "IS", "GENERATION", "PROCESS", "PID", "STARTED", "LASTED", "OUTCOME", "REASON")
	for _, r := range all {
		pid := ""
		if r.PID > 0 {
			pid = fmt.Sprint(r.PID)
		}
		t.row(short(r.Node), r.What, r.Generation, r.Process, pid, clock(r.Started), brief(r.Lasted(time.Now())), r.Outcome, cut(r.Reason, reasonWidth))
	}
	return t.flush()
}

// printChanges shows the last of what was done to a role.
func (a *app) printChanges(all []role.Change, count int) error {
	all = all[max(0, len(all)-count):]
	if a.json {
		return a.printJSON(append([]role.Change{}, all...))
	}
	if len(all) == 0 {
		fmt.Fprintln(a.err, "nothing was done to it yet that is recorded")
		return nil
	}
	t := newTable(a.out, "WHEN", "BY", "EDITION", "WHAT")
	for _, c := range all {
		t.row(clock(c.At), cmp.Or(c.By, "a node"), c.Edition, c.Did)
	}
	return t.flush()
}

// clock is a time for people, where they are.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// brief is a duration for people that may be short.
func brief(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return span(d)
}
