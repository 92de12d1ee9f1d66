package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/work/roster"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var count int
	var back time.Duration
	cmd := &cobra.Command{
		Use: "logs [NAME|BUNDLE|WORKER]", Short: "Print what the workers print", Args: wants(0, 1, "one NAME at most"),
		Long: `Print what worker processes have printed, of all nodes, in order of time; with -f go on as they
print more. NAME is a deployment or a program, BUNDLE the beginning of a digest, WORKER that of a worker's id.`,
		Example: "  become logs\n  become logs -f square\n  become logs --back 1h -n 0 --json | jq -r .text", ValidArgsFunction: a.completeName,
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing what comes, until interrupted")
	cmd.Flags().IntVarP(&count, "count", "n", 100, "print the newest so many `lines`; 0 is all")
	cmd.Flags().DurationVar(&back, "back", 0, "print lines of this `time` back, as in 1h30m (default: all that is kept)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if count < 0 || back < 0 {
			return usage("as in -n 100 --back 1h", "a negative --count or --back makes no sense")
		}
		ctx := cmd.Context()
		return a.with(ctx, running, func(ctx context.Context, s *session) error {
			q := roster.LogQuery{Count: count}
			if count == 0 {
				q.Count = 1 << 30
			}
			if back > 0 {
				q.Since = time.Now().Add(-back)
			}
			queries := logQueries(ctx, s, q, args)
			if !follow {
				lines, err := s.LogLines(ctx, s.known(), queries...)
				for _, l := range lines {
					if e := a.printLog(l); e != nil {
						return e
					}
				}
				if len(lines) == 0 && err == nil && !a.json {
					fmt.Fprintln(a.err, "nothing was printed"+by(args))
				}
				return err
			}
			err := s.FollowLogs(ctx, queries, a.printLog)
			if errors.Is(context.Cause(ctx), errInterrupted) {
				return exitError(exitInterrupted)
			}
			return err
		})
	}
	return cmd
}

// by is what nothing was printed by.
func by(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return " by a name, bundle or worker " + printable(unguard(args)[0], false)
}

// logQueries asks for everything, or for what the argument can mean.
func logQueries(ctx context.Context, s *session, q roster.LogQuery, args []string) []roster.LogQuery {
	if len(args) == 0 {
		return []roster.LogQuery{q}
	}
	what := unguard(args)[0]
	if d, err := s.Resolve(ctx, what); err == nil {
		// Its older versions are of interest too.
		q.Bundle = d.Digest
		all := []roster.LogQuery{q}
		for _, v := range d.History {
			if v.Digest != d.Digest {
				q.Bundle = v.Digest
				all = append(all, q)
			}
		}
		return all
	}
	byWorker := q
	q.Bundle, byWorker.Worker = what, what
	return []roster.LogQuery{q, byWorker}
}

// printLog shows a line: who printed it, then what.
func (a *app) printLog(l roster.LogLine) error {
	if a.json {
		return a.printLine(l)
	}
	mark := " "
	if l.Stream == "stderr" {
		mark = "!"
	}
	text := strings.TrimRight(l.Text, "\r\n")
	_, err := fmt.Fprintf(a.out, "%s %s %s%s %s\n", l.Time.Local().Format("15:04:05.000"), printable(l.Name, false), l.Worker, mark, printable(text, false))
	return err
}
