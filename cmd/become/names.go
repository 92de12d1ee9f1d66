package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

func (a *app) namesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "names", Short: "List what is deployed", Args: wants(0, 0, "no argument"),
		Long:    "List the names there are, of functions and of services, what stands behind each, and since when.",
		Example: "  become names\n  become names --json | jq -r '.[].name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), kept, func(ctx context.Context, s *session) error {
				all, err := takeInventory(ctx, s)
				if err != nil {
					return err
				}
				return a.printNames(all.deployed())
			})
		},
	}
}

// deployed is what stands behind a name: functions, or a service.
type deployed struct {
	Kind string `json:"kind"`
	fleet.Deployment
	// Of a service.
	State  role.State `json:"state,omitempty"`
	Stock  string     `json:"stock,omitempty"`
	Listen []string   `json:"listen,omitempty"`
}

// deployed lists functions and services by name.
func (i inventory) deployed() []deployed {
	all := []deployed{}
	for _, d := range i.functions {
		all = append(all, deployed{Kind: "functions", Deployment: d})
	}
	for _, r := range i.services {
		d := fleet.Deployment{Name: r.Name, Digest: r.Now.Digest, Since: r.Now.Since, By: r.Now.By, Functions: []string{}}
		all = append(all, deployed{Kind: "service", Deployment: d, State: r.State, Stock: r.Now.Stock, Listen: r.Now.Spec.Listen})
	}
	slices.SortFunc(all, func(x, y deployed) int { return strings.Compare(x.Name, y.Name) })
	return all
}

func (a *app) printNames(all []deployed) error {
	if a.json {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(a.err, "nothing is deployed; deploy something with: become deploy PATH")
		return nil
	}
	t := newTable(a.out, "NAME", "KIND", "BUNDLE", "SINCE", "BY", "OFFERS")
	for _, d := range all {
		offers := strings.Join(d.Functions, ", ")
		if d.Kind == "service" {
			offers = strings.Join(append([]string{string(d.State)}, d.Listen...), " ")
		}
		t.row(d.Name, d.Kind, cmp.Or(d.Stock, short(d.Digest)), since(d.Since)+" ago", d.By, cut(offers, 60))
	}
	return t.flush()
}

func (a *app) rmCommand() *cobra.Command {
	var except []string
	cmd := &cobra.Command{
		Use: "rm NAME...", Short: "Remove names", Args: wants(1, -1, "a NAME"),
		Long: `Remove names. Functions: what runs finishes; the bundles stay, and so do their jobs. Services: their
processes drain, their sockets are closed; that is waited for.
` + patternHelp,
		Example: "  become rm square\n  become rm 'crunch-*'", ValidArgsFunction: a.completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			chosen, err := selecting(args, except)
			if err != nil {
				return err
			}
			return a.with(ctx, kept, func(ctx context.Context, s *session) error {
				names, err := a.selected(ctx, s, chosen)
				if err != nil {
					return err
				}
				return a.rmAll(ctx, s, names)
			})
		},
	}
	addExcept(cmd.Flags(), &except)
	return cmd
}

// selected returns the names of functions and services that are chosen.
func (a *app) selected(ctx context.Context, s *session, chosen selection) ([]string, error) {
	if chosen.plain() {
		return chosen.of(nil)
	}
	all, err := takeInventory(ctx, s)
	if err != nil {
		return nil, err
	}
	return chosen.of(all.names(wantsAny))
}

func roleNames(ctx context.Context, roles *role.Store) (names []string, err error) {
	all, err := roles.List(ctx)
	for _, r := range all {
		names = append(names, r.Name)
	}
	return names, err
}

func (a *app) rm(ctx context.Context, s *session, name string) error {
	d, err := s.Resolve(ctx, name)
	if err != nil {
		return missing(ctx, s, name, wantsAny, err)
	}
	if err := s.Forget(ctx, name); err != nil {
		return err
	}
	if a.json {
		return a.printLine(map[string]string{"removed": name, "digest": d.Digest})
	}
	_, err = fmt.Fprintf(a.out, "removed %s, which was %s\n", name, short(d.Digest))
	return err
}

// rmAll removes names, and returns when no node has the services among them any more: their addresses are free then.
func (a *app) rmAll(ctx context.Context, s *session, names []string) error {
	roles, err := role.Open(ctx, s.Bus())
	if err != nil {
		return err
	}
	var gone []role.Role
	for _, name := range names {
		err = a.roleOr(ctx, s, name, func(_ *role.Store, r role.Role) error {
			if err := roles.Remove(ctx, r.Name); err != nil {
				return err
			}
			gone = append(gone, r)
			return nil
		}, func() error { return a.rm(ctx, s, name) })
		if err != nil {
			break
		}
	}
	for _, r := range gone { // all drain meanwhile
		if failed := awaitGone(ctx, s, roles, r.Name); failed != nil {
			return errors.Join(err, failed)
		}
		text := fmt.Sprintf("removed %s, which was the service %s", r.Name, r.Now.What())
		if failed := a.done(map[string]string{"removed": r.Name, "service": r.Now.What()}, text); failed != nil {
			return errors.Join(err, failed)
		}
	}
	return err
}

// awaitGone waits until no node has a role that was removed, or somebody has deployed it again.
func awaitGone(ctx context.Context, s *session, roles *role.Store, name string) error {
	for {
		all, err := askRoles(ctx, s)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(r nodeRole) bool { return r.Name == name }) {
			return nil
		}
		if _, err := roles.Get(ctx, name); fault.KindOf(err) != fault.NotFound {
			return err
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return notAwaited(ctx, name)
		}
	}
}
