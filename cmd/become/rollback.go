package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/serve/role"
)

func (a *app) rollbackCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Let a name become what it was before",
		Long: `Let a name, of functions or of a service, become the version it was before, or an older one. The version
left stays in the history: become describe NAME shows it.`,
		Example: `  become rollback square
  become rollback square --to 3fa9c1`,
		Args: wants(1, 1, "one NAME"), ValidArgsFunction: a.completeName,
	}
	cmd.Flags().StringVar(&to, "to", "", "the version whose `digest` begins so (default the one before)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, name := cmd.Context(), args[0]
		return a.with(ctx, kept, func(ctx context.Context, s *session) error {
			return a.roleOr(ctx, s, name, func(roles *role.Store, _ role.Role) error {
				r, err := roles.Rollback(ctx, name, to, me())
				if err != nil {
					return err
				}
				return a.awaitRole(ctx, s, roles, r)
			}, func() error { return a.rollback(ctx, s, name, to) })
		})
	}
	return cmd
}

func (a *app) rollback(ctx context.Context, s *session, name, to string) error {
	before, err := s.Resolve(ctx, name)
	if err != nil {
		return missing(ctx, s, name, wantsAny, err)
	}
	now, err := s.Rollback(ctx, name, to, me())
	if err != nil {
		return err
	}
	return a.changed(name, before.Digest, now)
}
