package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/talk/door/micro"
)

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME|PATH", Short: "Show what a name or a piece of code offers",
		Long: `Show the functions and services of a deployed name, or what a service answers and how it is to be served, with its history, or those of a .js or .ts
file, a Go package or an executable, which needs no fleet. --json gives the types as JSON Schema.
A PATH without a slash or extension is told from a NAME by being there: write ./PATH to be sure.`,
		Example: `  become describe square
  become describe ./examples/factorial
  become describe --json ./square.js`,
		Args: wants(1, 1, "one NAME or PATH"), ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			names, _ := a.completeName(cmd, args, start)
			return names, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, what := cmd.Context(), args[0]
			if isPath(what) {
				c, err := a.load(ctx, what)
				if err != nil {
					return a.why(ctx, err)
				}
				return a.describe(description{Manifest: c.manifest})
			}
			if name, _, _ := strings.Cut(what, "."); !goodName.MatchString(name) {
				return usage("a name is letters, digits, '_' and '-'", "%q is neither a name nor a file", what)
			}
			return a.with(ctx, kept, func(ctx context.Context, s *session) error {
				return a.roleOr(ctx, s, what, func(_ *role.Store, r role.Role) error { return a.describeRole(ctx, s, r) }, func() error {
					d, err := describeName(ctx, s, what)
					if err != nil {
						return missing(ctx, s, what, wantsAny, err)
					}
					return a.describe(d)
				})
			})
		},
	}
}

// description is a bundle, and the name it stands behind.
type description struct {
	Deployed string          `json:"deployed,omitempty"`
	Since    time.Time       `json:"since,omitzero"`
	By       string          `json:"by,omitempty"`
	History  []fleet.Version `json:"history,omitempty"`
	bundle.Manifest
}

func describeName(ctx context.Context, s *session, name string) (description, error) {
	d, err := s.Resolve(ctx, name)
	if err != nil {
		return description{}, err
	}
	m, err := s.Bundles().Manifest(ctx, d.Digest)
	if err != nil {
		return description{}, err
	}
	return description{Deployed: d.Name, Since: d.Since, By: d.By, History: d.History, Manifest: m}, nil
}

func (a *app) describe(d description) error {
	if a.json {
		return a.printJSON(d)
	}
	w := a.out
	title := d.Name
	if d.Deployed != "" {
		title = d.Deployed
	}
	fmt.Fprintf(w, "%s: %s bundle %s for %s, %s\n", printable(title, false), d.Kind, short(d.Digest), d.Platform(), size(d.Size))
	if d.Deployed != "" {
		fmt.Fprintf(w, "deployed %s ago by %s\n", since(d.Since), printable(d.By, false))
	}
	if len(d.Exports)+len(d.Services) == 0 {
		fmt.Fprintln(w, "it offers no function and no service")
	}
	for _, s := range d.Services {
		fmt.Fprintf(w, "  service %s, of %s\n", printable(s.Name, false), printable(takes(s.Kind), false))
	}
	for _, e := range d.Exports {
		fmt.Fprintf(w, "  %s\n", printable(signature(e), false))
		if e.Doc != "" {
			fmt.Fprintf(w, "      %s\n", printable(e.Doc, false))
		}
		if l := limits(e.Limits); l != "" {
			fmt.Fprintf(w, "      %s\n", l)
		}
	}
	if len(d.History) == 0 {
		return nil
	}
	fmt.Fprintln(w, "before:")
	t := newTable(w, "  BUNDLE", "SINCE", "BY")
	for _, v := range d.History {
		t.row("  "+short(v.Digest), since(v.Since)+" ago", v.By)
	}
	return t.flush()
}

// requestsOf are those that a service answers at the bus, as APIs do; none if nobody is there.
func requestsOf(ctx context.Context, s *session, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	all, err := micro.Requests(ctx, s.Bus(), name)
	if err != nil {
		return nil
	}
	return all
}

// describeRole tells what a service is and was.
func (a *app) describeRole(ctx context.Context, s *session, r role.Role) error {
	requests := requestsOf(ctx, s, r.Name)
	if a.json {
		return a.printJSON(struct {
			role.Role
			Requests []string `json:"requests,omitempty"`
		}{r, requests})
	}
	w, spec := a.out, r.Now.Spec.WithDefaults()
	fmt.Fprintf(w, "%s: service %s, %s, processes on each node: %d\n", r.Name, r.Now.What(), r.State, spec.Procs)
	fmt.Fprintf(w, "deployed %s ago by %s\n", since(r.Now.Since), printable(r.Now.By, false))
	for _, at := range spec.Listen {
		fmt.Fprintf(w, "  listens at %s\n", printable(at, false))
	}
	if len(requests) > 0 {
		fmt.Fprintf(w, "  answers %s\n", printable(strings.Join(requests, ", "), false))
	}
	if spec.Route != "" {
		fmt.Fprintf(w, "  route %s\n", spec.Route)
	}
	if len(spec.Settings) > 0 {
		fmt.Fprintf(w, "  settings %s\n", printable(string(spec.Settings), false))
	}
	switch {
	case spec.TLS.Self:
		fmt.Fprintln(w, "  certificate self-made")
	case spec.TLS.Cert != "":
		fmt.Fprintf(w, "  certificate %s\n", printable(spec.TLS.Cert, false))
	}
	if spec.Manners != (manners.Manners{}) {
		limits, err := json.Marshal(spec.Manners)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  limits %s\n", limits)
	}
	if spec.Confined() {
		limits, err := json.Marshal(confine.Rules{Limits: spec.Limits, Landlock: spec.Landlock})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  held to %s\n", printable(string(limits), false))
	}
	if level := cmp.Or(r.LogLevel, spec.Log.Level); level != "" {
		fmt.Fprintf(w, "  logs from level %s on\n", level)
	}
	if len(r.Nodes) > 0 {
		fmt.Fprintf(w, "  on nodes %s\n", printable(strings.Join(r.Nodes, ", "), false))
	}
	if r.Report != "" {
		fmt.Fprintf(w, "taken back: %s\n", printable(r.Report, false))
	}
	if len(r.Before) == 0 {
		return nil
	}
	fmt.Fprintln(w, "before:")
	t := newTable(w, "  SERVICE", "SINCE", "BY", "AT")
	for _, e := range r.Before {
		t.row("  "+e.What(), since(e.Since)+" ago", e.By, strings.Join(e.Spec.Listen, " "))
	}
	return t.flush()
}

// takes is what a service of a kind takes.
func takes(kind string) string {
	switch kind {
	case "http":
		return "HTTP requests"
	case "":
		return "some kind"
	}
	return kind
}

// signature is an export as a reader wants it: Multiply({X number, Y number}) {Value number}.
func signature(e bundle.Export) string {
	if len(e.Input) == 0 && len(e.Output) == 0 {
		return e.Name + "(…)"
	}
	in := parseSchema(e.Input).String()
	if in == "{}" {
		in = ""
	}
	return e.Name + "(" + in + ") " + parseSchema(e.Output).String()
}

func limits(l bundle.Limits) string {
	out := ""
	add := func(format string, args ...any) {
		if out != "" {
			out += ", "
		}
		out += fmt.Sprintf(format, args...)
	}
	if l.TimeoutMS > 0 {
		add("at most %v", time.Duration(l.TimeoutMS)*time.Millisecond)
	}
	if l.Tries > 0 {
		add("%d tries", l.Tries)
	}
	if l.Slots > 0 {
		add("%d at once in a worker", l.Slots)
	}
	return out
}
