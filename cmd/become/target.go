package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/work/task"
)

const targetHelp = `TARGET is one of
  NAME.FUNCTION     a function of what is deployed under NAME
  NAME              its only function, or its default one
  PATH#FUNCTION     a function of a .js or .ts file, a Go package or an executable
  PATH              its only function, or its default one
and -e EXPR takes its place: a JavaScript function, as in -e '(n) => n * n'.`

// target is a function to be called, in a bundle that is in the fleet.
type target struct {
	label    string // for people
	digest   string
	function string
	input    task.Value
}

// aim is what a command line says of a target, before there is a fleet.
type aim struct {
	code     *code  // nil: a name
	name     string // of the deployment
	said     string // what a person writes before a function's name
	function string // "": the only one, or default
	args     []string
}

// aim reads -e, or the first argument, and loads the code it names.
func (a *app) aim(ctx context.Context, expr string, given bool, args []string) (aim, error) {
	args = unguard(args)
	if given {
		c, err := loadExpression(expr)
		return aim{code: c, function: "default", args: args}, err
	}
	if len(args) == 0 {
		return aim{}, usage("as in: become call -e '(n) => n * n' 12", "no function is named")
	}
	what, rest := args[0], args[1:]
	path, function, found := strings.Cut(what, "#")
	if found || isPath(what) {
		if found && function == "" {
			return aim{}, usage("as in "+path+"#name", "%q names no function", what)
		}
		c, err := a.load(ctx, path)
		return aim{code: c, said: path + "#", function: function, args: rest}, err
	}
	name, function, found := strings.Cut(what, ".")
	if !goodName.MatchString(name) || found && !goodName.MatchString(function) {
		return aim{}, usage("name it NAME.FUNCTION or PATH#FUNCTION", "%q is no function", what)
	}
	return aim{name: name, said: name + ".", function: function, args: rest}, nil
}

// need is lasting when the code travels with the command.
func (t aim) need() need {
	if t.code != nil {
		return lasting
	}
	return kept
}

// resolve finds the function in the fleet, shipping its code if need be, and
// makes its argument.
func (a *app) resolve(ctx context.Context, s *session, t aim) (target, error) {
	var out target
	var names []string
	var label string
	if t.code != nil {
		if err := a.ship(ctx, s, t.code); err != nil {
			return out, err
		}
		out.digest, names, label = t.code.manifest.Digest, functions(t.code.manifest), t.code.manifest.Name
		if len(names) == 0 {
			return out, fault.Text(fault.NotFound, "find a function of", label, "it offers none").WithHint(serviceHint(t.code.manifest))
		}
	} else {
		d, err := s.Resolve(ctx, t.name)
		if err != nil {
			return out, err
		}
		out.digest, names, label = d.Digest, d.Functions, d.Name
	}
	var err error
	if out.function, err = choose(label, t.said, t.function, names); err != nil {
		return out, err
	}
	out.label = label
	if label != "expression" {
		out.label += "." + out.function
	}
	in, err := input(t.args, a.in)
	if err != nil {
		return out, err
	}
	if in == nil {
		if in, err = a.nothing(ctx, s, t, out); err != nil {
			return out, err
		}
	}
	out.input, err = s.Outline(ctx, in)
	return out, err
}

// choose finds the function that is meant; said is what a person writes before its name.
func choose(label, said, function string, names []string) (string, error) {
	switch {
	case function != "" && (len(names) == 0 || slices.Contains(names, function)):
		return function, nil
	case function != "":
		return "", fault.Text(fault.NotFound, "find function", function, label+" has none of that name; there is "+strings.Join(names, ", ")).
			WithHint("as in " + said + names[0])
	case len(names) == 1:
		return names[0], nil
	case slices.Contains(names, "default"):
		return "default", nil
	case len(names) == 0:
		return "", fault.Text(fault.NotFound, "find a function of", label, "it offers none")
	}
	return "", usage("say which, as in "+said+names[0], "%s has several functions: %s", label, strings.Join(names, ", "))
}

// nothing is the argument of a call without one. A script can be called with
// none; a Go function has one parameter, which may be a struct without fields.
func (a *app) nothing(ctx context.Context, s *session, t aim, to target) ([]byte, error) {
	var m bundle.Manifest
	if t.code != nil {
		m = t.code.manifest
	} else {
		var err error
		if m, err = s.Bundles().Manifest(ctx, to.digest); err != nil {
			return nil, err
		}
	}
	if m.Kind != bundle.Native {
		return nil, nil
	}
	i := slices.IndexFunc(m.Exports, func(e bundle.Export) bool { return e.Name == to.function })
	if i < 0 {
		return []byte("null"), nil
	}
	sch := parseSchema(m.Exports[i].Input)
	if sch.takesNothing() {
		return []byte("{}"), nil
	}
	return nil, usage("become describe shows its type", "%s wants an argument: %s", to.label, sch)
}

// answer turns what a function answered into JSON.
func (s *session) answer(ctx context.Context, format byte, o task.Outcome) (json.RawMessage, error) {
	b := o.Value
	switch o.Status {
	case task.OK:
	case task.OKRef:
		var err error
		if b, err = s.Values().Load(ctx, string(o.Value)); err != nil {
			return nil, err
		}
	default:
		if o.Err == nil {
			return nil, fault.Text(fault.Internal, "", "", "it failed without saying why")
		}
		return nil, o.Err
	}
	return toJSON(format, b)
}

// printAnswer shows a value: a text as it is, unless JSON is wanted.
func (a *app) printAnswer(v json.RawMessage) error {
	var s string
	if !a.json && json.Unmarshal(v, &s) == nil && string(v) != "null" {
		if terminal(a.out) {
			s = printable(s, true)
		}
		_, err := a.out.Write([]byte(strings.TrimSuffix(s, "\n") + "\n"))
		return err
	}
	_, err := a.out.Write(append(v, '\n'))
	return err
}

// completeTarget offers names and their functions, if a fleet is near.
func (a *app) completeTarget(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	a.near(cmd, func(ctx context.Context, s *session) error {
		all, err := s.Names(ctx)
		for _, d := range all {
			for _, f := range d.Functions {
				out = append(out, d.Name+"."+f)
			}
		}
		return err
	})
	return out, cobra.ShellCompDirectiveDefault
}

// completeCall offers the requests of APIs besides.
func (a *app) completeCall(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	out, how := a.completeTarget(cmd, args, start)
	if len(args) > 0 {
		return out, how
	}
	a.near(cmd, func(ctx context.Context, s *session) error {
		roles, err := role.Open(ctx, s.Bus())
		if err != nil {
			return err
		}
		services, err := roles.List(ctx)
		for _, r := range services {
			if strings.HasPrefix(r.Name, start) || strings.HasPrefix(start, r.Name+".") { // who is not asked takes no time
				for _, one := range requestsOf(ctx, s, r.Name) {
					out = append(out, r.Name+"."+one)
				}
			}
		}
		return err
	})
	return out, how
}

// completeName offers names.
func (a *app) completeName(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	var out []string
	a.near(cmd, func(ctx context.Context, s *session) error {
		all, err := s.Names(ctx)
		for _, d := range all {
			if !slices.Contains(args, d.Name) {
				out = append(out, d.Name)
			}
		}
		if err != nil {
			return err
		}
		roles, err := role.Open(ctx, s.Bus())
		if err != nil {
			return err
		}
		services, err := roles.List(ctx)
		for _, r := range services {
			if !slices.Contains(args, r.Name) {
				out = append(out, r.Name)
			}
		}
		return err
	})
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeWithin bounds what a person waits for after pressing Tab.
const completeWithin = 500e6 // nanoseconds

// near runs f with the fleet that is there, if there is one and it is quick.
func (a *app) near(cmd *cobra.Command, f func(context.Context, *session) error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	if a.settle(cmd) != nil {
		return
	}
	if err := a.with(ctx, running, f); err != nil {
		cobra.CompDebugln(err.Error(), false)
	}
}
