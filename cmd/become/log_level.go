package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/role"
)

func (a *app) logLevelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log-level NAME [LEVEL|default]", Short: "Show or change what a service logs, while it runs",
		Long: `Show from which level on a service logs, or change it, on every node, in the processes that run and in those that come. Nothing is
restarted. The levels, each with those before it: NONE, FAULT, WARNING, CONSOLE (the default), OBJECT (every request, answer and
connection), TRACE, DEBUG; slog's ERROR, WARN and INFO are FAULT, WARNING and CONSOLE. default takes the level that the service
was deployed with (--debug-level). A program that has set a slog default of its own logs as it likes.`,
		Example: `  become log-level crunch DEBUG
  become logs -f crunch
  become log-level crunch default`,
		Args: wants(1, 2, "a NAME and at most one LEVEL"), ValidArgsFunction: a.completeRole,
		RunE: func(cmd *cobra.Command, args []string) error {
			args = unguard(args)
			level := ""
			if len(args) > 1 && args[1] != "default" {
				if _, err := slogs.ParseLevel(args[1]); err != nil {
					return usage("as in: become log-level "+args[0]+" DEBUG", "%v", err)
				}
				level = args[1]
			}
			return a.withRoles(cmd.Context(), func(ctx context.Context, s *session, roles *role.Store) error {
				if len(args) == 1 {
					return a.printLogLevel(ctx, s, roles, args[0])
				}
				r, err := roles.SetLogLevel(ctx, args[0], level, me())
				if err != nil {
					return missing(ctx, s, args[0], wantsService, err)
				}
				if r.State == role.Stopped || r.State == role.Failed {
					return a.printLogLevel(ctx, s, roles, args[0])
				}
				return a.awaitRole(ctx, s, roles, r)
			})
		},
	}
}

// printLogLevel prints the level that a service has.
func (a *app) printLogLevel(ctx context.Context, s *session, roles *role.Store, name string) error {
	r, err := findService(ctx, s, roles, name)
	if err != nil {
		return err
	}
	level := cmp.Or(r.LogLevel, r.Now.Spec.Log.Level, slogs.LevelName(slogs.LevelConsole))
	if a.json {
		return a.printJSON(map[string]any{"name": name, "level": level})
	}
	_, err = fmt.Fprintln(a.out, level)
	return err
}
