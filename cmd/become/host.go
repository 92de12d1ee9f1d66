package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/work/child"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/worker"
)

// early makes this process a worker, or an inspector of a script, if it was
// started as one. It does not return then.
func early() {
	switch {
	case service.Kept():
		leave(service.RunKept(context.Background(), stockServices(), &service.Options{Logger: slogs.Default(), Logs: new(slogs.Program)}))
	case child.Wanted():
		leave(child.Run(host{}))
	case os.Getenv(inspectEnv) != "":
		os.Exit(inspect(os.Stdin, os.Stdout))
	}
}

// leave ends a process that was started for one thing.
func leave(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// host makes this process a worker of a bundle that is no executable.
type host struct{}

// Open opens the script.
func (host) Open(_ context.Context, start control.Start) (engine.Engine, error) {
	if start.Kind != bundle.JS {
		return nil, fault.Text(fault.Invalid, "open", start.Name, fmt.Sprintf("this version of become runs no bundle of kind %q", start.Kind))
	}
	source, err := os.ReadFile(start.Source)
	if err != nil {
		return nil, err
	}
	return js.Open(source, &js.Options{Name: start.Name, Slots: start.Slots, Memory: start.Memory, Log: logLine})
}

// logLine passes on what a script writes to its console: the node keeps what
// this process prints.
func logLine(level, text string) {
	out := os.Stdout
	if level == "warn" || level == "error" {
		out = os.Stderr
	}
	io.WriteString(out, text+"\n")
}

// Join connects to the fleet and serves its jobs.
func (host) Join(ctx context.Context, start control.Start, w *worker.Worker, ready func(worker.Values)) error {
	f, err := fleet.ConnectChild(ctx, start, slog.Default())
	if err != nil {
		return err
	}
	defer f.Close()
	ready(f.Values())
	return fleet.RunJobs(ctx, f, start, w)
}

// Why a process of its own for looking at a script? Its top level runs, and
// can take all the memory there is.
const (
	inspectEnv    = "BECOME_INSPECT" // the script's name; its source is on stdin
	inspectMemory = 512 << 20
)

// inspection is what an inspector answers.
type inspection struct {
	Exports []bundle.Export
	Error   string
	Hint    string
}

func inspect(in io.Reader, out io.Writer) int {
	go boundMemory()
	var a inspection
	source, err := io.ReadAll(in)
	if err == nil {
		var e engine.Engine
		if e, err = js.Open(source, &js.Options{Name: os.Getenv(inspectEnv), Slots: 1}); err == nil {
			a.Exports = e.Exports()
		}
	}
	if err != nil {
		a.Error, a.Hint = err.Error(), fault.Hint(err)
	}
	if json.NewEncoder(out).Encode(a) != nil {
		return 1
	}
	return 0
}

func boundMemory() {
	debug.SetMemoryLimit(inspectMemory)
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		time.Sleep(10 * time.Millisecond)
		if metrics.Read(sample); sample[0].Value.Uint64() > inspectMemory {
			fmt.Fprintf(os.Stderr, "its top level takes more than %d MiB\n", inspectMemory>>20)
			os.Exit(1)
		}
	}
}
