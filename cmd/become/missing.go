package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/talk/door/micro"
)

// wanted is what a command wants a name to be.
type wanted int

const (
	wantsAny wanted = iota
	wantsService
	wantsCall // functions, or an API's request
	wantsJob  // functions
)

func (w wanted) String() string {
	return [...]string{"name", "service", "function", "function"}[w]
}

// inventory is all names there are.
type inventory struct {
	functions []fleet.Deployment
	services  []role.Role
}

func takeInventory(ctx context.Context, s *session) (all inventory, err error) {
	if all.functions, err = s.Names(ctx); err != nil {
		return all, err
	}
	roles, err := role.Open(ctx, s.Bus())
	if err != nil {
		return all, err
	}
	all.services, err = roles.List(ctx)
	return all, err
}

func (i inventory) code(name string) *fleet.Deployment {
	if n := slices.IndexFunc(i.functions, func(d fleet.Deployment) bool { return d.Name == name }); n >= 0 {
		return &i.functions[n]
	}
	return nil
}

func (i inventory) service(name string) *role.Role {
	if n := slices.IndexFunc(i.services, func(r role.Role) bool { return r.Name == name }); n >= 0 {
		return &i.services[n]
	}
	return nil
}

// names lists those that could be meant.
func (i inventory) names(want wanted) (all []string) {
	if want != wantsService {
		for _, d := range i.functions {
			all = append(all, d.Name)
		}
	}
	if want == wantsService || want == wantsAny {
		for _, r := range i.services {
			all = append(all, r.Name)
		}
	}
	slices.Sort(all)
	return all
}

// missing makes an error that says that there is no such name one that says what there is instead: the name may be of
// another kind, or one of its functions. what is as a person wrote it. Other errors are returned as they are.
func missing(ctx context.Context, s *session, what string, want wanted, err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	if m, bad := matcher(what); m != nil || bad != nil { // a pattern is no name
		return err
	}
	all, bad := takeInventory(ctx, s)
	if bad != nil {
		return err
	}
	name, part, dotted := strings.Cut(what, ".")
	code, service := all.code(name), all.service(name)
	is := func(text, hint string) error {
		return fault.Text(fault.NotFound, "find "+want.String(), what, text).WithHint(hint)
	}
	calls := want == wantsCall || want == wantsJob
	switch {
	case code != nil && calls, service != nil && (want == wantsService || want == wantsAny) && !dotted:
		return err // it is there: something else is not
	case service != nil && want == wantsJob:
		return is(name+" is a service, and a job is a call of a function", "become call "+name+".REQUEST asks an API; become names lists what has functions")
	case service != nil && want == wantsCall:
		return is(name+" is a service, not a function", serviceCalled(ctx, s, *service))
	case dotted && !calls && (service != nil || code != nil && want == wantsAny):
		return is(fmt.Sprintf("the name is %s, without .%s", name, part), "give "+name+" alone")
	case code != nil:
		return is(name+" is code for calls, not a service", "become describe "+name+" shows its functions, become call calls them")
	}
	return is("nothing has that name"+theseAre(all.names(want)), want.listed())
}

// serviceCalled says how a service is talked to.
func serviceCalled(ctx context.Context, s *session, r role.Role) string {
	if requests, err := micro.Requests(ctx, s.Bus(), r.Name); err == nil && len(requests) > 0 {
		return "as in become call " + r.Name + "." + requests[0]
	}
	return "become ps " + r.Name + " shows where it listens; only the requests of an API can be called"
}

// listed says where names of the kind are listed.
func (w wanted) listed() string {
	switch w {
	case wantsService:
		return "become ps lists the services, become names all that is deployed"
	case wantsAny:
		return "become names lists what is deployed"
	}
	return "become names lists them; or deploy it with: become deploy PATH"
}

// fewNames is how many names an error lists.
const fewNames = 12

func theseAre(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ", and there is none yet"
	case n > fewNames:
		return fmt.Sprintf("; there is %s, and %d more", strings.Join(names[:fewNames], ", "), n-fewNames)
	}
	return "; there is " + strings.Join(names, ", ")
}

// findService returns a service's record, or says what the name is instead.
func findService(ctx context.Context, s *session, roles *role.Store, name string) (role.Role, error) {
	r, err := roles.Get(ctx, name)
	if err != nil {
		return r, missing(ctx, s, name, wantsService, err)
	}
	return r, nil
}
