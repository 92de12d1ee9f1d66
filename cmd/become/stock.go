package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock"
)

func isStock(name string) bool {
	_, ok := stock.Find(name)
	return ok
}

// stockServices is what this program serves when a keeper starts it.
func stockServices() []service.Service {
	return stock.Services(stock.Env{Logger: slogs.Default(), Out: os.Stdout})
}

// likeStock adds to an error that says that there is no such PATH what could be meant.
func likeStock(cmd *cobra.Command, what string, err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.NotFound || e.Op != "find" || e.ID != what || !isNowhere(what) {
		return err
	}
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(what); len(like) > 0 {
		return e.WithHint("did you mean " + cmd.CommandPath() + " " + strings.Join(like, " or ") + "?")
	}
	return e.WithHint(cmd.CommandPath() + " --help lists the servers that are in this binary")
}

// completePath leaves it to the shell to complete a PATH, beside the stock servers.
func completePath(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// specReader reads what the flags say, with their templates filled by fill, if that is not nil.
type specReader func(fill func(string) string) (master.Spec, error)

// stockCommands returns a subcommand for each server that this binary can become. Each has the flags
// of a service, those of the server itself, and more; run gets what they say.
func stockCommands(parent string, more func(*pflag.FlagSet), run func(*cobra.Command, stock.Server, specReader) error) []*cobra.Command {
	var out []*cobra.Command
	for _, s := range stock.All() {
		var flags specFlags
		free := strings.HasPrefix(s.Args, "[--]") // its arguments can look like flags
		given := map[string][]string{}
		cmd := &cobra.Command{
			Use: strings.TrimSpace(s.Name + " " + s.Args), Short: s.Short, Args: cobra.ArbitraryArgs,
			Long:    strings.TrimSpace(s.Short + ".\n\n" + s.Long),
			Example: strings.ReplaceAll(s.Example, "become serve ", parent+" "),
		}
		if free {
			cmd.Use, cmd.DisableFlagsInUseLine = s.Name+" [flags] "+s.Args, true
		}
		flags.add(cmd.Flags())
		cmd.Flags().Lookup("service").Hidden = true
		cmd.Flags().Lookup("procs").DefValue = strconv.Itoa(s.Procs)
		cmd.Flags().Lookup("listen").Usage += " (default " + strings.Join(s.Listen, ", ") + ")"
		if more != nil {
			more(cmd.Flags())
		}
		own := pflag.NewFlagSet(s.Name, pflag.ContinueOnError)
		for _, f := range s.Flags {
			own.AddFlag(stockFlag(f, given))
		}
		ownFirst(cmd, own)
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			args = unguard(args)
			return run(cmd, s, func(fill func(string) string) (master.Spec, error) {
				if fill == nil {
					return flags.readStock(cmd, s, args, given)
				}
				own := map[string][]string{}
				for name, all := range given {
					own[name] = filledAll(all, fill)
				}
				return flags.filled(fill).readStock(cmd, s, filledAll(args, fill), own)
			})
		}
		cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
			err = flagError(cmd, err)
			if free {
				return usage("put -- in front of the program, as in "+cmd.CommandPath()+" -- /bin/cat -u", "%s", err)
			}
			return err
		})
		out = append(out, cmd)
	}
	return out
}

// ownFirst adds the flags of a server itself to those that all services have. Its help tells them first.
func ownFirst(cmd *cobra.Command, own *pflag.FlagSet) {
	if own.HasFlags() {
		all := "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
		usages := "Flags of " + own.Name() + ":\n" + own.FlagUsages() + "\nFlags of every service:\n" + strings.TrimRight(cmd.Flags().FlagUsages(), "\n")
		cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), all, usages, 1))
	}
	cmd.Flags().AddFlagSet(own)
}

// stockFlag is a setting as a flag that keeps what it is given.
func stockFlag(f stock.Flag, given map[string][]string) *pflag.Flag {
	kind := map[string]string{"BOOL": "bool", "NUMBER": "number", "DURATION": "time"}
	word, known := kind[f.Kind]
	if !known {
		word = "text"
	}
	usage := f.Doc
	if f.List {
		usage += "; may be repeated"
	}
	flag := &pflag.Flag{Name: f.Name, Usage: usage, DefValue: f.Default, Value: &stockValue{f, word, given}}
	if f.Kind == "BOOL" {
		flag.NoOptDefVal = "true"
	}
	return flag
}

// stockValue keeps the values of a flag.
type stockValue struct {
	flag  stock.Flag
	word  string
	given map[string][]string
}

func (v *stockValue) String() string { return v.flag.Default }
func (v *stockValue) Type() string   { return v.word }
func (v *stockValue) Set(text string) error {
	v.given[v.flag.Name] = append(v.given[v.flag.Name], text)
	return nil
}
