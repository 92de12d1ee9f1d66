package main

import (
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/serve/master"
)

// limitFlags say what each process of a service may use and reach.
type limitFlags struct {
	memory                          string
	cpu                             float64
	tasks, files                    int
	landlock, newPrivileges         bool
	readOnly, readWrite, executable []string
	bindPorts, connectPorts         []string
}

var limitNames = []string{
	"memory", "cpu", "max-tasks", "max-files", "new-privileges",
	"landlock", "read-only", "read-write", "executable", "bind-port", "connect-port",
}

// landlockNames is where those of Landlock begin in limitNames.
const landlockNames = 5

// limitHelp is part of the help of commands that have these flags.
const limitHelp = `Each process can be held to limits, on Linux: --memory, --cpu and --max-tasks (threads) count it with all that it
starts; the last two need cgroup v2 in a place that is ours, as in a container, or under
systemd-run --scope -p Delegate=yes. One that dies of a limit is replaced, and says why. --landlock denies it all files but its program
and what most programs read; the paths and ports given then are what it may reach beside. Programs like sudo have no effect below it,
unless --new-privileges is given. What cannot be held is an error.`

func (l *limitFlags) add(f *pflag.FlagSet) {
	f.StringVar(&l.memory, "memory", "", "memory that each process may use: a `size` as 256MB")
	f.Float64Var(&l.cpu, "cpu", 0, "CPU `cores` that each process may use: 0.5 is half of one")
	f.IntVar(&l.tasks, "max-tasks", 0, "how `many` threads each process may have, with those of programs that it starts")
	f.IntVar(&l.files, "max-files", 0, "how `many` files each process may have open")
	f.BoolVar(&l.newPrivileges, "new-privileges", false, "let programs that the processes start have more privileges than they")
	f.BoolVar(&l.landlock, "landlock", false, "let each process reach only what the next flags say; each of them means --landlock")
	f.StringArrayVar(&l.readOnly, "read-only", nil, "`path` that can be read; may be repeated")
	f.StringArrayVar(&l.readWrite, "read-write", nil, "`path` that can be read and written; may be repeated")
	f.StringArrayVar(&l.executable, "executable", nil, "`path` whose programs can be started; may be repeated")
	f.StringArrayVar(&l.bindPorts, "bind-port", nil, "TCP `port` that can be listened on beside --listen, or none; may be repeated (default any)")
	f.StringArrayVar(&l.connectPorts, "connect-port", nil, "TCP `port` that can be connected to, or none; may be repeated (default any)")
}

// read puts what the command line says into a description.
func (l *limitFlags) read(cmd *cobra.Command, spec *master.Spec) (err error) {
	given := cmd.Flags().Changed
	for _, name := range []string{"cpu", "max-tasks", "max-files"} {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "0" {
			return usage("leave --"+name+" out", "--%s must be above zero", name)
		}
	}
	spec.Limits = confine.Limits{CPU: l.cpu, Tasks: l.tasks, OpenFiles: l.files}
	if given("memory") {
		if spec.Limits.Memory, err = confine.ParseBytes(l.memory); err != nil {
			return err
		}
		if spec.Limits.Memory == 0 {
			return usage("leave --memory out", "--memory must be above zero")
		}
	}
	spec.NewPrivileges = l.newPrivileges
	if !slices.ContainsFunc(limitNames[landlockNames:], given) {
		return nil
	}
	if given("landlock") && !l.landlock {
		return usage("leave --landlock=false out", "the other flags mean --landlock")
	}
	return l.readLandlock(spec)
}

func (l *limitFlags) readLandlock(spec *master.Spec) (err error) {
	var rules confine.Landlock
	for _, p := range []struct {
		to   *[]string
		from []string
	}{{&rules.ReadOnly, l.readOnly}, {&rules.ReadWrite, l.readWrite}, {&rules.Executable, l.executable}} {
		for _, path := range p.from {
			full, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			*p.to = append(*p.to, full)
		}
	}
	if rules.BindPorts, err = portList("bind-port", l.bindPorts); err != nil {
		return err
	}
	if rules.ConnectPorts, err = portList("connect-port", l.connectPorts); err != nil {
		return err
	}
	spec.Landlock = &rules
	return nil
}

// portList reads port numbers; "none" is an empty list, and nothing is nil.
func portList(flag string, texts []string) (ports []uint16, err error) {
	for _, text := range texts {
		if ports == nil {
			ports = []uint16{}
		}
		if text == "none" && len(texts) == 1 {
			return ports, nil
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, usage("as in --"+flag+" 443, or --"+flag+" none", "--%s %q is no port", flag, text)
		}
		ports = append(ports, uint16(n))
	}
	return ports, nil
}
