package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/work/roster"
)

// deployRoles lets names become services on the fleet's nodes: of a program, or a stock server. Nothing is deployed when one of
// them cannot be read.
func (a *app) deployRoles(ctx context.Context, to deployTarget, what string, read specReader) error {
	all, err := to.several.replicas(to.name, nameOf(what))
	if err != nil {
		return err
	}
	editions := make([]role.Edition, len(all))
	for i, one := range all {
		editions[i].By = me()
		if editions[i].Spec, err = read(one.fill); err == nil {
			err = absoluteSockets(editions[i].Spec.Listen)
		}
		if err != nil {
			return err
		}
	}
	c, err := a.serviceCode(ctx, what)
	if err != nil {
		return err
	}
	return a.withRoles(ctx, func(ctx context.Context, s *session, roles *role.Store) error {
		if err := isThere(ctx, s, to.nodes); err != nil {
			return err
		}
		for i, one := range all {
			e := editions[i]
			if c == nil {
				e.Stock = what
			} else {
				e.Digest, e.Bundle = c.manifest.Digest, c.manifest.Name
			}
			if err := a.deployRole(ctx, s, roles, one.name, e, c, to.nodes); err != nil {
				return err
			}
		}
		return nil
	})
}

// absoluteSockets makes the paths of Unix sockets what they are here: a node has another working folder.
func absoluteSockets(listen []string) error {
	for i, text := range listen {
		a, err := socket.Parse(text)
		if err == nil && a.Network == "unix" && !strings.HasPrefix(a.Addr, "@") {
			if a.Addr, err = filepath.Abs(a.Addr); err == nil {
				a, err = socket.Parse(a.String()) // it may be too long now
			}
			listen[i] = a.String()
		}
		if err != nil {
			return misused(err)
		}
	}
	return nil
}

// serviceCode loads what shall serve; nil for a stock server.
func (a *app) serviceCode(ctx context.Context, what string) (*code, error) {
	if isStock(what) {
		return nil, nil
	}
	c, err := a.load(ctx, what)
	if err != nil {
		return nil, a.why(ctx, err)
	}
	if c.manifest.Kind != bundle.Native {
		return nil, fault.Text(fault.Invalid, "deploy", what, "a script cannot be a service: it needs a program whose main function is become.Serve")
	}
	return c, nil
}

func (a *app) deployRole(ctx context.Context, s *session, roles *role.Store, name string, e role.Edition, c *code, nodes []string) error {
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
}

// isThere refuses a choice of nodes that none of the fleet's fits: the service would end where it serves now.
func isThere(ctx context.Context, s *session, nodes []string) error {
	if len(nodes) == 0 {
		return nil
	}
	all, err := s.Nodes(ctx, s.known())
	if err != nil {
		return err
	}
	meant := role.Role{Nodes: nodes}
	if !slices.ContainsFunc(all, func(n roster.Status) bool { return meant.Wants(n.Node, n.Host) }) {
		return fault.Text(fault.NotFound, "find node", strings.Join(nodes, ", "), "there is none").WithHint("become nodes lists them")
	}
	return nil
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
