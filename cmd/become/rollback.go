package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) rollbackCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Let a name become what it was before",
		Long: `Let a name become the version it was before, or an older one. The version left
stays in the history: become describe NAME shows it.`,
		Example: `  become rollback square
  become rollback square --to 3fa9c1`,
		Args: wants(1, 1, "one NAME"), ValidArgsFunction: a.completeName,
	}
	cmd.Flags().StringVar(&to, "to", "", "the version whose `digest` begins so (default the one before)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, name := cmd.Context(), args[0]
		return a.with(ctx, kept, func(ctx context.Context, s *session) error {
			before, err := s.Resolve(ctx, name)
			if err != nil {
				return err
			}
			now, err := s.Rollback(ctx, name, to, me())
			if err != nil {
				return err
			}
			return a.changed(name, before.Digest, now)
		})
	}
	return cmd
}
