package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/queue"
)

func (a *app) jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "jobs", Short: "Look after jobs: list, show, result, wait, cancel, retry, dead",
		Long: `Look after jobs. Without a subcommand: list them.

A job is kept until it is done, whoever dies; its result is kept for 24 hours. One that
failed at all its tries, or gave up, is a dead letter: it can be tried again.`,
		Example: `  become jobs
  become jobs wait 48213.7 && become jobs result 48213.7
  become jobs dead
  become jobs retry 48213.7`,
		Args: cobra.ArbitraryArgs,
	}
	list := a.jobsListCommand()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return onlySubcommands(cmd, args)
		}
		return list.RunE(cmd, nil)
	}
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, a.jobsShowCommand(), a.jobsResultCommand(), a.jobsWaitCommand(), a.jobsCancelCommand(), a.jobsRetryCommand(), a.jobsDeadCommand())
	return cmd
}

func (a *app) jobsListCommand() *cobra.Command {
	var count int
	var state string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the jobs that ended last, run, and come next", Args: wants(0, 0, "no argument"),
		Example: "  become jobs list --state running\n  become jobs list -n 1000 --json | jq -r '.[] | select(.state == \"failed\").id'",
	}
	cmd.Flags().IntVarP(&count, "count", "n", 30, "list at most so many `jobs` that ended, and so many that did not")
	cmd.Flags().StringVar(&state, "state", "", "only those queued, retrying, running, canceling, succeeded, failed or canceled")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch state {
		case "", fleet.JobQueued, fleet.JobRetrying, fleet.JobRunning, fleet.JobCanceling, fleet.JobSucceeded, fleet.JobFailed, fleet.JobCanceled:
		default:
			return usage("it is queued, retrying, running, canceling, succeeded, failed or canceled", "%q is no state of a job", state)
		}
		if count < 1 {
			return usage("as in -n 100", "-n %d makes no sense", count)
		}
		ctx := cmd.Context()
		return a.with(ctx, kept, func(ctx context.Context, s *session) error {
			found, err := s.Jobs(ctx, count, s.known())
			if err != nil {
				return err
			}
			jobs := []fleet.JobInfo{}
			for _, j := range found {
				if state == "" || j.State == state {
					jobs = append(jobs, j)
				}
			}
			if a.json {
				return a.printJSON(jobs)
			}
			if len(jobs) == 0 {
				fmt.Fprintln(a.err, "no jobs: become submit makes one")
				return nil
			}
			return jobTable(newTable(a.out, "JOB", "STATE", "FUNCTION", "BUNDLE", "TRIES", "AGE", "NODE", "PID", "ERROR"), jobs).flush()
		})
	}
	return cmd
}

func jobTable(t *table, jobs []fleet.JobInfo) *table {
	for _, j := range jobs {
		pid := ""
		if j.PID > 0 {
			pid = fmt.Sprint(j.PID)
		}
		t.row(j.ID, j.State, j.Function, short(j.Digest), j.Tries, since(j.Time), short(j.Node), pid, cut(j.Error, 80))
	}
	return t
}

// jobID reads an argument.
func jobID(arg string) (queue.ID, error) {
	id, err := queue.ParseID(unguard([]string{arg})[0])
	if err != nil {
		return id, usage("become jobs lists them", "%s", err)
	}
	return id, nil
}

// oneJob makes a subcommand about one job.
func (a *app) oneJob(use, about, long string, f func(context.Context, *session, queue.ID) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB", Short: about, Long: long, Args: wants(1, 1, "one JOB"),
		Example: "  become jobs " + use + " 48213.7",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args[0])
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			return a.with(ctx, kept, func(ctx context.Context, s *session) error { return f(ctx, s, id) })
		},
	}
}

func (a *app) jobsShowCommand() *cobra.Command {
	return a.oneJob("show", "Show what is known of a job", "Show what is known of a job: its state, tries, where it runs or ran, its error.", func(ctx context.Context, s *session, id queue.ID) error {
		j, err := s.Job(ctx, id, s.known())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(j)
		}
		show := func(name, value string) {
			if value != "" {
				fmt.Fprintf(a.out, "%-10s %s\n", name, printable(value, false))
			}
		}
		show("job", j.ID)
		show("state", j.State)
		show("function", j.Function)
		show("bundle", j.Digest)
		show("tries", fmt.Sprint(j.Tries))
		show("since", j.Time.Format(time.RFC3339))
		if !j.NotBefore.IsZero() {
			show("next try", j.NotBefore.Format(time.RFC3339))
		}
		show("node", j.Node)
		show("worker", j.Worker)
		if j.PID > 0 {
			show("pid", fmt.Sprint(j.PID))
		}
		show("error", j.Error)
		return nil
	})
}

func (a *app) jobsResultCommand() *cobra.Command {
	return a.oneJob("result", "Print a job's answer, if it has ended", `Print a job's answer, if it has ended; its error, if it has failed. Exit code 3 says that it has
not ended yet, or was never there.`, func(ctx context.Context, s *session, id queue.ID) error {
		o, err := s.Result(ctx, id)
		if fault.KindOf(err) == fault.NotFound {
			j, e := s.Job(ctx, id, s.known())
			if e != nil {
				return e
			}
			return fault.Text(fault.NotFound, "read result of job", id.String(), "it is "+j.State).WithHint("become jobs wait " + id.String())
		}
		if err != nil {
			return err
		}
		return a.printOutcome(ctx, s, id, o)
	})
}

func (a *app) jobsWaitCommand() *cobra.Command {
	return a.oneJob("wait", "Wait for a job and print its answer", "Wait for a job and print its answer. --timeout ends the waiting, not the job.", func(ctx context.Context, s *session, id queue.ID) error {
		if _, err := s.Job(ctx, id, s.known()); err != nil {
			return err
		}
		return a.waitJob(ctx, s, id)
	})
}

// waitJob prints a job's answer once it has one.
func (a *app) waitJob(ctx context.Context, s *session, id queue.ID) error {
	o, err := s.WaitJob(ctx, id, func(progress []byte) {
		if v, err := toJSON(0, progress); err == nil {
			a.logger.Info("progress", "job", id.String(), "value", string(v))
		}
	})
	if err != nil {
		return err
	}
	return a.printOutcome(ctx, s, id, o)
}

func (a *app) printOutcome(ctx context.Context, s *session, id queue.ID, o *fleet.Outcome) error {
	v, err := s.answer(ctx, o.Format, o.Outcome)
	if err != nil {
		return about("run job", id.String(), err)
	}
	return a.printAnswer(v)
}

func (a *app) jobsCancelCommand() *cobra.Command {
	return a.eachJob("cancel", "Cancel jobs, queued or running", `Cancel jobs: one that waits never begins, one that runs is told to stop and, if it does not
within the node's grace, its process is killed.`, "  become jobs cancel 48213.7", func(ctx context.Context, s *session, id queue.ID) error {
		if _, err := s.Job(ctx, id, s.known()); err != nil {
			return err
		}
		if err := s.CancelJob(ctx, id); err != nil {
			return err
		}
		return a.done(map[string]string{"canceled": id.String()}, "canceled "+id.String())
	})
}

func (a *app) jobsRetryCommand() *cobra.Command {
	return a.eachJob("retry", "Submit the jobs of dead letters again", "Submit the jobs of dead letters again, under new ids, which are printed, and remove the letters.", `  become jobs retry 48213.7
  become jobs dead --json | jq -r '.[].id' | xargs become jobs retry`, func(ctx context.Context, s *session, id queue.ID) error {
		again, err := s.RetryDead(ctx, id)
		if err != nil {
			return err
		}
		return a.done(map[string]string{"id": again.String(), "was": id.String()}, again.String())
	})
}

// eachJob makes a subcommand about one job after the other. It stops at the first error.
func (a *app) eachJob(use, about, long, example string, f func(context.Context, *session, queue.ID) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " JOB...", Short: about, Long: long, Args: wants(1, -1, "at least one JOB"), Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := make([]queue.ID, len(args))
			for i, arg := range args {
				var err error
				if ids[i], err = jobID(arg); err != nil {
					return err
				}
			}
			return a.with(cmd.Context(), kept, func(ctx context.Context, s *session) error {
				for _, id := range ids {
					if err := f(ctx, s, id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) jobsDeadCommand() *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use: "dead", Short: "List the dead letters", Args: wants(0, 0, "no argument"),
		Long:    "List the dead letters: jobs that failed at all their tries, gave up, or killed their process each time.",
		Example: "  become jobs dead\n  become jobs dead --json | jq -r '.[].id' | xargs become jobs retry",
	}
	cmd.Flags().IntVarP(&count, "count", "n", 100, "list the newest so many `letters`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return a.with(ctx, kept, func(ctx context.Context, s *session) error {
			letters, err := s.DeadLetters(ctx, count)
			if err != nil {
				return err
			}
			if a.json {
				out := []deadLetter{}
				for _, l := range letters {
					out = append(out, deadLetter{l.ID, l.Digest, l.Function, l.Tries, l.Error, l.Kind, l.Time})
				}
				return a.printJSON(out)
			}
			if len(letters) == 0 {
				fmt.Fprintln(a.err, "no dead letters")
				return nil
			}
			t := newTable(a.out, "JOB", "FUNCTION", "BUNDLE", "TRIES", "AGE", "KIND", "ERROR")
			for _, l := range letters {
				t.row(l.ID, l.Function, short(l.Digest), l.Tries, since(l.Time), l.Kind, cut(l.Error, 100))
			}
			return t.flush()
		})
	}
	return cmd
}

// deadLetter is a letter without the job itself.
type deadLetter struct {
	ID       string    `json:"id"`
	Digest   string    `json:"digest"`
	Function string    `json:"function"`
	Tries    int       `json:"tries"`
	Error    string    `json:"error"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
}

// done tells that something was done.
func (a *app) done(v any, text string) error {
	if a.json {
		data, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s\n", data)
		}
		return err
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}
