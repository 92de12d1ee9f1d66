package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/serve/master"
)

// serviceTimes are the flags that say how long the processes of a service may take.
type serviceTimes struct {
	start, probation, drain time.Duration
}

var timeNames = []string{"start-timeout", "probation", "drain"}

func (t *serviceTimes) add(f *pflag.FlagSet) {
	f.DurationVar(&t.start, "start-timeout", 20*time.Second, "`time` that a process may take until it is ready")
	f.DurationVar(&t.probation, "probation", 10*time.Second, "`time` in which a new version that keeps dying is undone, from when it is ready on")
	f.DurationVar(&t.drain, "drain", 30*time.Second, "`time` that open connections may go on when their process leaves")
}

// read writes them to the description. It says nothing of those that are not given, but of the drain.
func (t *serviceTimes) read(cmd *cobra.Command, spec *master.Spec) error {
	for _, one := range []struct {
		name   string
		value  time.Duration
		to     *int64
		always bool
	}{
		{"start-timeout", t.start, &spec.StartMS, false},
		{"probation", t.probation, &spec.ProbationMS, false},
		{"drain", t.drain, &spec.DrainMS, true}, // as it has always been: else what runs would not be the same
	} {
		if one.value <= 0 {
			return usage("as in --"+one.name+" 30s", "--%s must be above zero", one.name)
		}
		if one.always || cmd.Flags().Changed(one.name) {
			*one.to = max(1, one.value.Milliseconds())
		}
	}
	return nil
}
