package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/work/roster"
)

// logsCommand is become logs. Its flags are those of a window, see logWindow, and how lines are shown.
func (a *app) logsCommand() *cobra.Command {
	var w logWindow
	p := &logPrinter{app: a}
	var sample string
	cmd := &cobra.Command{
		Use: "logs [NAME|BUNDLE|WORKER]", Short: "Print what processes print", Args: wants(0, 1, "one NAME at most"),
		Long: `Print what processes have printed in the last five minutes, of all nodes, in order of time; with -f go on as they
print more, also with a node that was restarted or has joined meanwhile. NAME is a service, a deployment or a program, BUNDLE the beginning of a digest, WORKER that of a worker's id.

Another beginning: --back 1d, --from 2026-11-21T13:28, --last HOUR (the hour that it is), or --start -1 (the newest
start of the service's first process, see become history; 0 is the oldest that is known). The end is now, for --start the next start, or: --to
TIME, --span 10m after the beginning, --count 100 lines. -n 100 prints only the newest so many, however old they are if no beginning is given.

Times are UTC; with --clock they are those of this machine, and a line's has a t in it instead of a T. What a service logs with slog
has its tag and its object (see become serve --help); ! marks what else went to standard error.`,
		Example: `  become logs
  become logs -f crunch
  become logs crunch --back 1d --count 100
  become logs crunch --start -1 --grep 'Divide|panic'
  become logs crunch --last DAY --sample hits,misses
  become logs --back 1h --json | jq -r .text`, ValidArgsFunction: a.completeName,
	}
	f := cmd.Flags()
	w.add(f)
	f.BoolVarP(&p.follow, "follow", "f", false, "go on printing what comes, until interrupted")
	f.StringVar(&p.query.Grep, "grep", "", "only lines that this `regexp` matches")
	f.StringVar(&p.query.Node, "node", "", "only of the node whose `id` begins so")
	f.StringVar(&sample, "sample", "", "tabulate the samples that have values of these `names`, as in hits,misses")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w.flags = f
		if err := p.read(&w, sample); err != nil {
			return err
		}
		return p.print(cmd.Context(), &w, unguard(args))
	}
	return cmd
}

// logPrinter prints the lines that a query selects.
type logPrinter struct {
	*app
	query  roster.LogQuery
	follow bool
	clock  bool
	left   int      // lines to print at most; below 0: any number
	sample []string // columns
	node   string   // the one whose lines came until now
	many   bool     // there are several

	printed  int
	follower fleet.LogFollower
}

// errEnough ends the printing.
var errEnough = errors.New("enough lines were printed")

// print prints what there is, and with -f goes on, with the next node when this one has ended.
func (p *logPrinter) print(ctx context.Context, w *logWindow, args []string) error {
	do := func(ctx context.Context, s *session) error { return p.run(ctx, s, w, args) }
	for {
		err := p.with(ctx, running, do)
		if !p.follow || !errors.Is(err, errGone) {
			return err
		}
		if err := p.awaitNode(ctx); err != nil {
			return err
		}
		if p.follower.Show != nil { // else it ended before the following began
			do = func(ctx context.Context, s *session) error { return p.ended(ctx, p.follower.Run(ctx, s.Fleet)) }
		}
	}
}

// awaitNode waits until a node runs in the home again.
func (p *logPrinter) awaitNode(ctx context.Context) error {
	fmt.Fprintln(p.err, "become: the node has ended: what it has follows when it is back")
	tick := time.NewTicker(lookEvery / 4)
	defer tick.Stop()
	for {
		if _, there, err := home.Find(p.homeDir()); there && err == nil {
			fmt.Fprintln(p.err, "become: the node is back")
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return p.ended(ctx, p.why(ctx, fault.New(fault.KindOf(ctx.Err()), "follow logs", "", ctx.Err())))
		}
	}
}

// ended makes of an error how the command ends.
func (p *logPrinter) ended(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errEnough):
		return nil
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitError(exitInterrupted)
	}
	return err
}

func (p *logPrinter) run(ctx context.Context, s *session, w *logWindow, args []string) error {
	begin, end, err := w.bounds(ctx, s, args, time.Now())
	if err != nil {
		return err
	}
	p.query.Since, p.query.Until, p.query.Count, p.clock = begin, end, w.newest, w.clock
	p.query.Of = logNames(ctx, s, args)
	p.left = cmp.Or(w.count, -1)
	switch {
	case p.follow:
		p.follower = fleet.LogFollower{Query: p.query, Show: p.show, Tell: p.tellAway}
		err = p.follower.Run(ctx, s.Fleet)
	case w.newest > 0:
		err = p.showNewest(ctx, s)
	default:
		err = s.ReadLogs(ctx, s.known(), p.query, p.show)
	}
	if err == nil && p.printed == 0 && !p.json {
		fmt.Fprintln(p.err, "nothing was printed"+by(args)+w.words())
	}
	return p.ended(ctx, err)
}

func (p *logPrinter) showNewest(ctx context.Context, s *session) error {
	all, err := s.LogLines(ctx, s.known(), p.query)
	for _, l := range all {
		p.many = p.many || l.Node != all[0].Node
	}
	for _, l := range all {
		if e := p.show(l); e != nil {
			return e
		}
	}
	return err
}

// tellAway tells that a node is away, or back.
func (p *logPrinter) tellAway(node string, back bool) {
	if back {
		fmt.Fprintf(p.err, "become: node %s is back\n", node)
		return
	}
	fmt.Fprintf(p.err, "become: node %s does not answer: what it has follows when it is back\n", node)
}

// by is what nothing was printed by.
func by(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return " by a name, bundle or worker " + printable(args[0], false)
}

// logNames is what the argument can mean: a name, whose older versions are of interest too, a bundle or a worker.
func logNames(ctx context.Context, s *session, args []string) []string {
	if len(args) == 0 {
		return nil
	}
	all := []string{args[0]}
	if d, err := s.Resolve(ctx, args[0]); err == nil {
		all = append(all, d.Digest)
		for _, v := range d.History {
			all = append(all, v.Digest)
		}
	}
	return all
}

// show prints a line: when, who, and what.
func (p *logPrinter) show(l roster.LogLine) error {
	if p.sample != nil {
		return p.showSample(l)
	}
	p.many = p.many || p.node != "" && p.node != l.Node
	p.node = l.Node
	if p.json {
		return p.count(p.printLine(l))
	}
	mark, text := " ", strings.TrimRight(l.Text, "\r\n")
	if l.Stream == "stderr" {
		mark = "!"
	}
	if own, ok := slogs.Parse(text); ok { // its time is a moment before: the order is that of the node's
		mark = " "
		text = fmt.Sprintf("%c %s - %s", own.Tag, own.Object, own.Text)
	} else {
		text = " " + text
	}
	_, err := fmt.Fprintf(p.out, "%s %s%s%s\n", p.time(l.Time), p.who(l), mark, printable(text, false))
	return p.count(err)
}

// count ends the printing when enough lines were.
func (p *logPrinter) count(err error) error {
	if p.printed++; err == nil && p.printed == p.left {
		return errEnough
	}
	return err
}

func (p *logPrinter) time(t time.Time) string {
	if p.clock {
		return t.Local().Format("2006-01-02t15:04:05.000")
	}
	return t.UTC().Format("2006-01-02T15:04:05.000")
}

// who printed a line: a service's process, which has its name in its own, or a program and its worker.
func (p *logPrinter) who(l roster.LogLine) string {
	who := l.Worker
	if l.Name != "" && !strings.HasPrefix(l.Worker, l.Name+".") {
		who = strings.TrimSpace(l.Name + " " + l.Worker)
	}
	if p.many {
		who += "@" + short(l.Node)
	}
	return printable(cmp.Or(who, l.Stream), false)
}

// showSample prints the columns of a sample; the first is preceded by their names.
func (p *logPrinter) showSample(l roster.LogLine) error {
	line, ok := slogs.Parse(l.Text)
	if !ok || line.Tag != slogs.Sampled {
		return nil
	}
	values, ok := slogs.ParseSample(line.Text)
	row, found := []string{p.time(line.Time), p.who(l)}, false
	for _, name := range p.sample {
		v, has := values[name]
		found = found || has
		row = append(row, printable(cmp.Or(v, "-"), false))
	}
	if !ok || !found {
		return nil
	}
	if p.json {
		return p.count(p.printLine(map[string]any{"time": line.Time, "node": l.Node, "worker": l.Worker, "sample": values}))
	}
	if p.printed == 0 {
		if _, err := fmt.Fprintln(p.out, strings.Join(append([]string{"TIME", "PROCESS"}, p.sample...), "\t")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(p.out, strings.Join(row, "\t"))
	return p.count(err)
}
