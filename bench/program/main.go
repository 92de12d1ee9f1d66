package main

import (
	"context"
	"fmt"
	"os"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// questions is what the boss can be asked; each file adds its own.
var questions = map[string]func(context.Context, *become.Fleet, int) (rig.Answer, error){
	"warm":   warm,
	"call":   serialCalls,
	"flight": callsInFlight,
	"map":    mapTiny,
	"mixed":  mixedLengths,
	"jobs":   jobsDone,
	"kill":   killWorker,
	"cpu":    cpuBound,
	"seed":   factorials,
}

// alone are questions that need a connection of their own.
var alone = map[string]rig.Asked{
	"first": firstAnswer,
	"js":    firstAnswerJS,
	"ready": func(context.Context, int) (rig.Answer, error) { return rig.Answer{Value: 1}, nil },
}

func main() {
	become.Init()
	if err := boss(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// boss connects with the first question that needs it and answers until its
// input ends.
func boss(ctx context.Context) error {
	defer profile()()
	var fleet *become.Fleet
	all := map[string]rig.Asked{}
	for name, f := range alone {
		all[name] = f
	}
	for name, f := range questions {
		all[name] = func(ctx context.Context, n int) (a rig.Answer, err error) {
			if fleet == nil {
				if fleet, err = become.Connect(ctx, become.Config{}); err != nil {
					return a, err
				}
				if fleet.Alone() {
					return a, fmt.Errorf("no fleet: the figures would say nothing")
				}
			}
			return f(ctx, fleet, n)
		}
	}
	err := rig.Serve(ctx, os.Stdin, os.Stdout, all)
	if fleet != nil {
		fleet.Close()
	}
	return err
}
