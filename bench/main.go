package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/bench/tasks"
)

func main() {
	peers.Role()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

const usage = `usage: bench tasks [flags]

Measure functions, jobs and processes beside their peers.

`

func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 || args[0] != "tasks" {
		return fmt.Errorf("what should be measured? there is: tasks")
	}
	o := tasks.Options{Log: log, RequirePeers: os.Getenv("BECOME_REQUIRE_PEERS") == "1"}
	f := flag.NewFlagSet("bench tasks", flag.ContinueOnError)
	f.SetOutput(log)
	f.Usage = func() { fmt.Fprint(log, usage); f.PrintDefaults() }
	f.BoolVar(&o.Quick, "quick", false, "do a tenth of the work")
	f.BoolVar(&o.Alone, "alone", false, "leave the peers out")
	f.IntVar(&o.Rounds, "rounds", 0, "how often each side has its turn (default 3)")
	f.StringVar(&o.Dir, "dir", "", "where homes and files are (default the temporary folder)")
	only := f.String("only", "", "do these measures only: "+strings.Join(names(), ", "))
	asJSON := f.Bool("json", false, "print the rows as JSON")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	b, err := tasks.New(ctx, o)
	if err != nil {
		return err
	}
	defer b.Close()
	var rows []rig.Row
	var errs []error
	for _, m := range chosen {
		some, err := b.Run(ctx, m)
		rows = append(rows, some...)
		errs = append(errs, err) // the others still say something
		if ctx.Err() != nil {
			break
		}
	}
	errs = append(errs, show(out, rows, *asJSON))
	return errors.Join(errs...)
}

func show(out io.Writer, rows []rig.Row, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	rig.Print(out, rows)
	return nil
}

func names() []string {
	var all []string
	for _, m := range tasks.Measures {
		all = append(all, m.Name)
	}
	return all
}

// choose picks the measures named, in the order of the table.
func choose(only string) ([]tasks.Measure, error) {
	if only == "" {
		return tasks.Measures, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("no measure %q, there are: %s", name, strings.Join(names(), ", "))
		}
	}
	var chosen []tasks.Measure
	for _, m := range tasks.Measures {
		if slices.Contains(wanted, m.Name) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}
