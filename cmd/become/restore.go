package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/cmd/become/archive"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

func (a *app) restoreCommand() *cobra.Command {
	var replace, wait bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Let the fleet become what a snapshot holds", Args: wants(1, 1, "one FILE"),
		Long: `Let the fleet become what an archive of become snapshot holds, whole or not at all: all of the archive is checked first; when a service cannot be
served, or anything else goes wrong, what was done so far is undone. What the fleet has besides stays. Code is signed anew
with this fleet's key: restore what you trust.`,
		Example: "  become restore fleet.zip\n  become restore fleet.zip --replace",
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "replace services and names that are there, each by a new version")
	cmd.Flags().BoolVar(&wait, "wait", true, "wait until the services serve")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := archive.Open(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		return a.withRoles(cmd.Context(), func(ctx context.Context, s *session, roles *role.Store) error {
			r := &restoring{app: a, session: s, roles: roles, in: in, replace: replace}
			if err := r.all(ctx, wait); err != nil {
				return r.undoAll(ctx, err)
			}
			return a.done(map[string]any{"restored": args[0], "services": len(in.Roles), "names": len(in.Names)},
				fmt.Sprintf("restored %s; services: %d, names: %d", args[0], len(in.Roles), len(in.Names)))
		})
	}
	return cmd
}

// undoWithin bounds the undoing.
const undoWithin = 30 * time.Second

// restoring is a restore under way.
type restoring struct {
	*app
	*session
	roles   *role.Store
	in      *archive.Archive
	replace bool
	undo    []func(context.Context) error // what was done, the last one last
}

func (r *restoring) all(ctx context.Context, wait bool) error {
	if err := r.refuse(ctx); err != nil {
		return err
	}
	for _, m := range r.in.Bundles {
		c := &code{manifest: m, open: func() (io.ReadCloser, error) { return r.in.Code(m.Digest) }}
		if err := r.ship(ctx, r.session, c); err != nil {
			return err
		}
	}
	for _, d := range r.in.Names {
		if err := r.name(ctx, d); err != nil {
			return err
		}
	}
	var now []role.Role
	for _, one := range r.in.Roles {
		got, err := r.role(ctx, one)
		if err != nil {
			return err
		}
		now = append(now, got)
	}
	for _, one := range now {
		if !wait {
			break
		}
		if err := r.awaitRole(ctx, r.session, r.roles, one); err != nil {
			return err
		}
	}
	return nil
}

// refuse says what is in the way, before anything is done.
func (r *restoring) refuse(ctx context.Context) error {
	there, err := takeInventory(ctx, r.session)
	if err != nil {
		return err
	}
	var same, other []string
	look := func(name string, mine, theirs bool) {
		switch {
		case theirs:
			other = append(other, name)
		case mine && !r.replace:
			same = append(same, name)
		}
	}
	for _, d := range r.in.Names {
		look(d.Name, there.code(d.Name) != nil, there.service(d.Name) != nil)
	}
	for _, one := range r.in.Roles {
		look(one.Name, there.service(one.Name) != nil, there.code(one.Name) != nil)
	}
	switch {
	case len(other) > 0:
		return fault.Text(fault.Conflict, "restore", strings.Join(other, ", "), "the fleet has something of another kind under that name").
			WithHint("remove it first: become rm NAME")
	case len(same) > 0:
		return fault.Text(fault.Conflict, "restore", strings.Join(same, ", "), "it is there already").WithHint("--replace lets it become what the archive holds")
	}
	return nil
}

// name points a name at its code.
func (r *restoring) name(ctx context.Context, d fleet.Deployment) error {
	if err := checkName(d.Name); err != nil {
		return err
	}
	before, err := r.Resolve(ctx, d.Name)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if before.Digest == d.Digest {
		return nil
	}
	if _, err := r.Deploy(ctx, d.Name, d.Digest, d.Functions, me()); err != nil {
		return err
	}
	r.undo = append(r.undo, func(ctx context.Context) error {
		if before.Digest == "" {
			return r.Forget(ctx, d.Name)
		}
		_, err := r.Deploy(ctx, d.Name, before.Digest, before.Functions, me())
		return err
	})
	return nil
}

// role restores a service's record.
func (r *restoring) role(ctx context.Context, one role.Role) (role.Role, error) {
	if err := checkName(one.Name); err != nil {
		return one, err
	}
	before, err := r.roles.Get(ctx, one.Name)
	missing := fault.KindOf(err) == fault.NotFound
	if err != nil && !missing {
		return one, err
	}
	now, err := r.roles.Restore(ctx, one, me(), r.replace)
	if err != nil {
		return one, err
	}
	r.undo = append(r.undo, func(ctx context.Context) error {
		if missing {
			return r.roles.Remove(ctx, one.Name)
		}
		_, err := r.roles.Restore(ctx, before, me(), true)
		return err
	})
	return now, nil
}

// undoAll undoes what was done, also when ctx has ended, and adds what cannot be undone to the reason.
func (r *restoring) undoAll(ctx context.Context, why error) error {
	if len(r.undo) == 0 {
		return why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	var left []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		left = append(left, r.undo[i](ctx))
	}
	if err := errors.Join(left...); err != nil {
		return fmt.Errorf("%w; and not all of it is undone: %v", why, err)
	}
	fmt.Fprintln(r.err, "become: nothing is restored: what was done is undone")
	return why
}
