package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/work/roster"
)

func (a *app) psCommand() *cobra.Command {
	var long bool
	var except []string
	cmd := &cobra.Command{
		Use: "ps [NAME...]", Aliases: []string{"status"}, Short: "List services and worker processes",
		Long: `List the services and the worker processes of all nodes: with NAMEs those of these services, with their processes,
or of these bundles. With -l the processes of every service: PID, memory, processor time and how long it has run. A bundle that failed to
start is listed too, with the reason; a service that failed, until it is deployed again or removed. --json lists both: what has
sockets is a service.
` + patternHelp,
		Example: "  become ps\n  become ps -l\n  become ps 'crunch-*'\n  become ps --except 'crunch-*'\n  become ps --json | jq '.[] | select(.state == \"failed\")'", ValidArgsFunction: a.completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			chosen, err := selecting(args, except)
			if err != nil {
				return err
			}
			return a.with(ctx, running, func(ctx context.Context, s *session) error {
				var all listing
				if all.services, err = askRoles(ctx, s); err != nil {
					return err
				}
				if all.procs, err = processes(ctx, s); err != nil {
					return err
				}
				if err = all.narrow(ctx, s, chosen); err != nil {
					return err
				}
				return a.ps(all.services, all.procs, long || len(args) > 0)
			})
		},
	}
	addExcept(cmd.Flags(), &except)
	cmd.Flags().BoolVarP(&long, "long", "l", false, "list the processes of services too")
	return cmd
}

// ps prints services, and then workers.
func (a *app) ps(services []nodeRole, procs []proc, whole bool) error {
	if a.json {
		all := []any{}
		for _, r := range services {
			all = append(all, r)
		}
		for _, p := range procs {
			all = append(all, p)
		}
		return a.printJSON(all)
	}
	if len(services) == 0 && len(procs) == 0 {
		fmt.Fprintln(a.err, "no service, and no worker process: those start when somebody calls a function or submits a job")
		return nil
	}
	if len(services) > 0 {
		if err := rolesTable(newTable(a.out, rolesHead...), services).flush(); err != nil {
			return err
		}
		if whole {
			fmt.Fprintln(a.out)
			if err := servingTable(newTable(a.out, servingHead...), services).flush(); err != nil {
				return err
			}
			for _, r := range services {
				if len(r.Held) > 0 {
					fmt.Fprintf(a.out, "\neach process of %s on %s is held to %s\n", r.Name, short(r.Node), printable(strings.Join(r.Held, ", "), false))
				}
			}
			a.wholeReasons(services)
		}
	}
	if len(procs) > 0 {
		if len(services) > 0 {
			fmt.Fprintln(a.out)
		}
		if err := psTable(newTable(a.out, psHead...), procs).flush(); err != nil {
			return err
		}
	}
	a.hintFailed(services)
	return nil
}

// hintFailed says what can be done with services that have failed for good.
func (a *app) hintFailed(services []nodeRole) {
	var failed []string
	for _, r := range services {
		if r.State == string(role.Failed) && !slices.Contains(failed, r.Name) {
			failed = append(failed, r.Name)
		}
	}
	if len(failed) > 0 {
		fmt.Fprintf(a.err, "hint: what failed is not tried again: mend it and deploy it again, or remove it: become rm %s\n", strings.Join(failed, " "))
	}
}

var (
	rolesHead   = []string{"SERVICE", "IS", "NODE", "STATE", "PROCS", "GENERATION", "AT", "OPEN", "ACCEPTED", "REASON"}
	servingHead = []string{"SERVICE", "NODE", "GENERATION", "PROCESS", "PID", "STATE", "OPEN", "ACCEPTED", "RSS", "CPU", "UPTIME", "REASON"}
)

func rolesTable(t *table, services []nodeRole) *table {
	for _, r := range services {
		state := r.State
		if r.Probation {
			state += " (probation)"
		}
		t.row(r.Name, r.What, short(r.Node), state, fmt.Sprintf("%d/%d", r.Ready, r.Procs), r.Generation, r.at(), r.Open, r.Accepted, cut(r.why(), reasonWidth))
	}
	return t
}

// reasonWidth is how much of a reason has room in the table of services.
const reasonWidth = 120

func (r nodeRole) why() string { return cmp.Or(r.Reason, r.Report) }

// wholeReasons prints the reasons for which the table had no room.
func (a *app) wholeReasons(services []nodeRole) {
	for _, r := range services {
		if why := printable(r.why(), false); cut(why, reasonWidth) != why {
			fmt.Fprintf(a.out, "\n%s\n", why)
		}
	}
}

func servingTable(t *table, services []nodeRole) *table {
	for _, r := range services {
		for _, p := range r.Processes {
			pid, up := "", ""
			if p.PID > 0 {
				pid, up = fmt.Sprint(p.PID), since(p.Started)
			}
			reason := p.Reason
			if p.Restarts > 0 {
				reason = fmt.Sprintf("%d died, last: %s", p.Restarts, p.Reason)
			}
			t.row(r.Name, short(r.Node), p.Generation, p.Number, pid, p.State, p.Open, p.Accepted, size(p.RSS), cpuSeconds(p.CPU), up, cut(reason, 100))
		}
	}
	return t
}

// proc is a process and where it runs.
type proc struct {
	Node string `json:"node"`
	Host string `json:"host"`
	roster.ProcessStatus
}

// processes asks every node, and gives bundles the names they are deployed under.
func processes(ctx context.Context, s *session) ([]proc, error) {
	nodes, err := s.Nodes(ctx, s.known())
	if err != nil {
		return nil, err
	}
	names := deployedAs(ctx, s)
	var all []proc
	for _, n := range nodes {
		for _, p := range n.Processes {
			if name := names[p.Bundle]; name != "" {
				p.Name = name
			}
			all = append(all, proc{n.Node, n.Host, p})
		}
	}
	return all, nil
}

// deployedAs maps digests to the names they stand behind. Nobody depends on it:
// without an answer bundles keep their own names.
func deployedAs(ctx context.Context, s *session) map[string]string {
	out := map[string]string{}
	all, err := s.Names(ctx)
	if err != nil {
		return out
	}
	for _, d := range all {
		if out[d.Digest] != "" {
			out[d.Digest] += ","
		}
		out[d.Digest] += d.Name
	}
	return out
}

// listing is what ps lists.
type listing struct {
	services []nodeRole
	procs    []proc
}

// narrow leaves what is chosen: of services by name, of worker processes by name, bundle or worker. fault.NotFound for a word that nothing
// is meant by.
func (l *listing) narrow(ctx context.Context, s *session, chosen selection) error {
	out := listing{services: slices.DeleteFunc(slices.Clone(l.services), func(r nodeRole) bool { return !chosen.has(r.Name) })}
	if len(chosen.words) == 0 {
		out.procs = l.procs
	}
	for i, word := range chosen.words {
		mine, err := l.of(ctx, s, word, chosen.matches[i])
		if err != nil && !slices.ContainsFunc(l.services, selection{words: chosen.words[i : i+1], matches: chosen.matches[i : i+1]}.isOf) {
			return missing(ctx, s, word, wantsAny, err)
		}
		for _, p := range mine {
			if !slices.ContainsFunc(out.procs, func(has proc) bool { return has.Worker == p.Worker }) {
				out.procs = append(out.procs, p)
			}
		}
	}
	out.procs = slices.DeleteFunc(out.procs, func(p proc) bool { return chosen.leftOut(p.Name) })
	*l = out
	return nil
}

func (s selection) isOf(r nodeRole) bool { return s.has(r.Name) }

// of are the worker processes of one word; matches is nil if that is no pattern.
func (l *listing) of(ctx context.Context, s *session, word string, matches func(string) bool) (out []proc, err error) {
	if matches == nil {
		digest := word
		var d fleet.Deployment
		if d, err = s.Resolve(ctx, word); err == nil {
			digest = d.Digest
		}
		for _, p := range l.procs {
			if strings.HasPrefix(p.Bundle, digest) || p.Name == word || strings.HasPrefix(p.Worker, word) {
				out = append(out, p)
			}
		}
		if len(out) > 0 {
			err = nil
		}
		return out, err
	}
	for _, p := range l.procs {
		if matches(p.Name) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		err = nobodyLike(word)
	}
	return out, err
}

var psHead = []string{"NAME", "BUNDLE", "NODE", "WORKER", "PID", "STATE", "RUNNING", "DONE", "RSS", "CPU", "UPTIME", "REASON"}

func psTable(t *table, procs []proc) *table {
	for _, p := range procs {
		pid, up, rss, cpu := "", "", "", ""
		if p.PID > 0 {
			pid, up, rss = fmt.Sprint(p.PID), since(p.Started), size(p.RSS)
			cpu = cpuSeconds(p.CPU)
		}
		state := p.State
		if p.Solo {
			state += " (solo)"
		}
		reason := p.Reason
		if reason == "" && p.Restarts > 0 {
			reason = fmt.Sprintf("%d restarts", p.Restarts)
		}
		done := fmt.Sprint(p.Done)
		if p.Failed > 0 {
			done = fmt.Sprintf("%d (%d failed)", p.Done, p.Failed)
		}
		t.row(p.Name, short(p.Bundle), short(p.Node), p.Worker, pid, state, fmt.Sprintf("%d/%d", p.Running, p.Slots), done, rss, cpu, up, cut(reason, 80))
	}
	return t
}

// cpuSeconds is CPU time for people.
func cpuSeconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
