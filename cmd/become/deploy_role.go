package main

import (
	"context"
	"fmt"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
)

// deployRole lets a name become a service on the fleet's nodes: of a program, or a stock server.
func (a *app) deployRole(ctx context.Context, name, what string, spec master.Spec, nodes []string) error {
	e := role.Edition{Spec: spec, By: me()}
	var c *code
	if isStock(what) {
		e.Stock = what
	} else {
		var err error
		if c, err = a.load(ctx, what); err != nil {
			return a.why(ctx, err)
		}
		if c.manifest.Kind != bundle.Native {
			return fault.Text(fault.Invalid, "deploy", what, "a script cannot be a service: it needs a program whose main function is become.Serve")
		}
		e.Digest, e.Bundle = c.manifest.Digest, c.manifest.Name
	}
	return a.withRoles(ctx, func(ctx context.Context, s *session, roles *role.Store) error {
		if _, err := s.Resolve(ctx, name); err == nil {
			return refuseOther(name, "code for calls")
		}
		if c != nil {
			if err := a.ship(ctx, s, c); err != nil {
				return err
			}
		}
		r, changed, err := roles.Deploy(ctx, name, e, nodes)
		if err != nil {
			return err
		}
		if !changed {
			fmt.Fprintf(a.err, "become: %s is just that already\n", name)
		}
		return a.awaitRole(ctx, s, roles, r)
	})
}

// roleOr runs f with the service of that name, if there is one, and else g.
func (a *app) roleOr(ctx context.Context, s *session, name string, f func(*role.Store, role.Role) error, g func() error) error {
	roles, err := role.Open(ctx, s.Bus())
	if err != nil {
		return err
	}
	r, err := roles.Get(ctx, name)
	if err == nil {
		return f(roles, r)
	}
	if fault.KindOf(err) == fault.NotFound {
		return g()
	}
	return err
}

// refuseOther keeps services and functions from having the same name.
func refuseOther(name, as string) error {
	return fault.Text(fault.Conflict, "deploy", name, as+" of that name is deployed already").
		WithHint("take another --name, or remove it first: become rm " + name)
}
