package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	spans "github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
)

// submission is what the flags of submit say.
type submission struct {
	expr  string
	wait  bool
	tries int
}

func (a *app) submitCommand() *cobra.Command {
	var sub submission
	cmd := &cobra.Command{
		Use: "submit TARGET [ARG...|k=v...]", Short: "Put a job into the queue and print its id",
		Long: `Put a job into the queue and print its id once it is kept: it is done then,
whoever dies. Its result is kept for 24 hours; see become jobs.

` + targetHelp + `

` + argsHelp + `

--timeout bounds this command; with --wait it does not end the job.`,
		Example: `  become submit crunch.Multiply x=1.5 y=2.25
  become submit --wait -e '(n) => n * n' 12
  become jobs result $(become submit report.monthly 2026 9)`,
		ValidArgsFunction: a.completeTarget,
	}
	cmd.Flags().StringVarP(&sub.expr, "expr", "e", "", "submit this JavaScript `function`")
	cmd.Flags().BoolVarP(&sub.wait, "wait", "w", false, "wait for the job and print its answer")
	cmd.Flags().IntVar(&sub.tries, "tries", 0, "start the job at most this `often` (default the function's own, else 3)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if sub.tries < 0 {
			return usage("as in --tries 5", "--tries %d makes no sense", sub.tries)
		}
		aimed, err := a.aim(ctx, sub.expr, cmd.Flags().Changed("expr"), args)
		if err != nil {
			return a.why(ctx, err)
		}
		// A job outlives this command, so its queue has to.
		return a.with(ctx, kept, func(ctx context.Context, s *session) error { return a.submit(ctx, s, aimed, sub) })
	}
	return cmd
}

// submit puts the job into the queue, and tells its id or waits for it.
func (a *app) submit(ctx context.Context, s *session, aimed aim, sub submission) error {
	to, err := a.resolve(ctx, s, aimed)
	if err != nil {
		return aimed.missing(ctx, s, wantsJob, err)
	}
	var id queue.ID
	err = a.traced(ctx, spans.Producer, "submit "+to.label, func(ctx context.Context) (err error) {
		id, err = s.Submit(ctx, queue.Spec{Digest: to.digest, Function: to.function, Format: engine.JSON, Tries: sub.tries}, to.input)
		return err
	})
	if err != nil {
		return err
	}
	if sub.wait {
		fmt.Fprintf(a.err, "job %s\n", id)
		return a.waitJob(ctx, s, id)
	}
	if s.node != nil {
		fmt.Fprintf(a.err, "no node is running: the job is kept in %s until one is (become up)\n", a.homeDir())
	}
	if a.json {
		return a.printJSON(map[string]string{"id": id.String(), "function": to.label, "digest": to.digest})
	}
	_, err = fmt.Fprintln(a.out, id)
	return err
}
