package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/work/roster"
)

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var times int
	cmd := &cobra.Command{
		Use: "top", Short: "Watch the fleet: nodes, processes, tasks per second", Args: wants(0, 0, "no argument"),
		Long: `Watch the fleet until interrupted: each node and process with its tasks per second and its share of
a CPU since the last look. Without a terminal, and with --json, one look follows the other.`,
		Example: "  become top\n  become top -n 1\n  become top --json --every 5s | jq -c '{time, rate}'",
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "look once in this `time`")
	cmd.Flags().IntVarP(&times, "count", "n", 0, "look so many `times` (default: until interrupted)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if every < 100*time.Millisecond {
			return usage("as in --every 2s", "--every %s is too often", every)
		}
		ctx := cmd.Context()
		return a.with(ctx, running, func(ctx context.Context, s *session) error {
			err := a.watch(ctx, s, every, times)
			if errors.Is(context.Cause(ctx), errInterrupted) {
				return exitError(exitInterrupted)
			}
			return err
		})
	}
	return cmd
}

// look is the fleet at one moment, and what changed since the one before.
type look struct {
	Time  time.Time       `json:"time"`
	Rate  *float64        `json:"rate"`  // tasks ended per second; nil at the first look
	Queue uint64          `json:"queue"` // job records waiting or running
	Nodes []roster.Status `json:"nodes"`

	rates map[string]float64 // by worker
	cpu   map[string]float64 // share of a CPU, by worker and node
}

// watch shows looks.
func (a *app) watch(ctx context.Context, s *session, every time.Duration, times int) error {
	var last *look
	for n := 0; ; {
		now, err := see(ctx, s)
		if err != nil {
			return err
		}
		now.compare(last)
		if err := a.showLook(now); err != nil {
			return err
		}
		last = now
		if n++; times > 0 && n >= times {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func see(ctx context.Context, s *session) (*look, error) {
	nodes, err := s.Nodes(ctx, s.known())
	if err != nil {
		return nil, err
	}
	l := &look{Time: time.Now(), Nodes: listed(nodes)}
	counts, err := s.Stores().Jobs.Counts(ctx, roster.QueueJobs+".>")
	for _, n := range counts {
		l.Queue += n
	}
	return l, err
}

// compare makes rates of the counters of two looks.
func (l *look) compare(last *look) {
	if last == nil {
		return
	}
	l.rates, l.cpu, l.Rate = map[string]float64{}, map[string]float64{}, new(float64)
	passed := l.Time.Sub(last.Time).Seconds()
	done, used := map[string]uint64{}, map[string]float64{}
	for _, n := range last.Nodes {
		used[n.Node] = n.CPU
		for _, p := range n.Processes {
			done[p.Worker], used[p.Worker] = p.Done, p.CPU
		}
	}
	for _, n := range l.Nodes {
		l.cpu[n.Node] = (n.CPU - used[n.Node]) / passed
		for _, p := range n.Processes {
			l.rates[p.Worker] = float64(p.Done-min(p.Done, done[p.Worker])) / passed
			l.cpu[p.Worker] = max(0, p.CPU-used[p.Worker]) / passed
			*l.Rate += l.rates[p.Worker]
		}
	}
}

func (a *app) showLook(l *look) error {
	if a.json {
		return a.printLine(l)
	}
	var page bytes.Buffer
	if terminal(a.out) {
		page.WriteString("\x1b[H\x1b[2J") // to the corner, and wipe
	}
	fmt.Fprintf(&page, "%s   %s   %s tasks/s   %s in the queue\n\n", l.Time.Local().Format("15:04:05"), count(uint64(len(l.Nodes)), "node"), l.rate(), count(l.Queue, "job record"))
	t := newTable(&page, "NODE", "NAME", "WORKER", "PID", "STATE", "RUNNING", "TASKS/S", "DONE", "CPU", "RSS", "REASON")
	for _, n := range l.Nodes {
		t.row(short(n.Node), "(node)", "", n.PID, "", "", "", "", l.share(n.Node), size(n.RSS), n.Full)
		for _, p := range n.Processes {
			t.row("", p.Name, p.Worker, p.PID, p.State, fmt.Sprintf("%d/%d", p.Running, p.Slots), l.speed(p.Worker), p.Done, l.share(p.Worker), size(p.RSS), cut(p.Reason, 60))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := a.out.Write(page.Bytes())
	return err
}

// rate is the fleet's tasks per second, a dash while nobody knows.
func (l *look) rate() string {
	if l.Rate == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", *l.Rate)
}

// speed is a worker's tasks per second.
func (l *look) speed(worker string) string {
	if l.rates == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", l.rates[worker])
}

// share is how much of a CPU a worker or node takes.
func (l *look) share(id string) string {
	if l.cpu == nil {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*l.cpu[id])
}

// count is a number of things for people.
func count(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
