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

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/bench/serve"
	"github.com/universal-server/become/bench/talk"
	"github.com/universal-server/become/bench/tasks"
)

func main() {
	rig.Role(peers.Roles, load.Roles)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// suites are what can be measured.
var suites = []rig.Suite{tasks.Suite, serve.Suite, talk.Suite}

const usage = `usage: bench %s [flags]

Measure %s, beside their peers.

`

func run(ctx context.Context, args []string, out, log io.Writer) error {
	suite, err := pick(args)
	if err != nil {
		return err
	}
	o := rig.Options{Log: log, RequirePeers: os.Getenv("BECOME_REQUIRE_PEERS") == "1"}
	f := flag.NewFlagSet("bench "+suite.Name, flag.ContinueOnError)
	f.SetOutput(log)
	f.Usage = func() { fmt.Fprintf(log, usage, suite.Name, suite.About); f.PrintDefaults() }
	f.BoolVar(&o.Quick, "quick", false, "do a tenth of the work")
	f.BoolVar(&o.Alone, "alone", false, "leave the peers out")
	f.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("how often each side has its turn (default %d)", suite.Rounds))
	f.StringVar(&o.Dir, "dir", "", "where homes and files are (default the temporary folder)")
	only := f.String("only", "", "do these measures only: "+strings.Join(names(suite), ", "))
	asJSON := f.Bool("json", false, "print the rows as JSON")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	chosen, err := choose(suite, *only)
	if err != nil {
		return err
	}
	b, err := rig.New(suite, o)
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

func pick(args []string) (rig.Suite, error) {
	var all []string
	for _, s := range suites {
		if len(args) > 0 && args[0] == s.Name {
			return s, nil
		}
		all = append(all, s.Name)
	}
	return rig.Suite{}, fmt.Errorf("what should be measured? there is: %s", strings.Join(all, ", "))
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

func names(s rig.Suite) []string {
	var all []string
	for _, m := range s.Measures {
		all = append(all, m.Name)
	}
	return all
}

// choose picks the measures named, in the order of the table.
func choose(s rig.Suite, only string) ([]rig.Measure, error) {
	if only == "" {
		return s.Measures, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(s), name) {
			return nil, fmt.Errorf("no measure %q, there are: %s", name, strings.Join(names(s), ", "))
		}
	}
	var chosen []rig.Measure
	for _, m := range s.Measures {
		if slices.Contains(wanted, m.Name) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}
