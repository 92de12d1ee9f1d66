package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/stock"
)

// specFlags are the flags that describe a service, in the foreground and on nodes alike.
type specFlags struct {
	spec     master.Spec
	times    serviceTimes
	settings string
	limits   limitFlags
}

func (s *specFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&s.spec.Listen, "listen", nil, "`address`: :8080, 127.0.0.1:0, tls://:8443, udp://host:port or unix:/path; may be repeated")
	f.IntVar(&s.spec.Procs, "procs", 2, "`processes` that share the sockets")
	s.times.add(f)
	f.StringVar(&s.spec.Route, "route", "", "accept here and pass each connection to a process, by `policy`: least, ip, line or header:NAME")
	f.StringVar(&s.spec.Service, "service", "", "which `service`, of a program that offers several")
	f.StringVar(&s.settings, "settings", "", "the service's settings, as `JSON` or @FILE")
	f.StringVar(&s.spec.TLS.Cert, "tls-cert", "", "`file` with the certificate of tls:// addresses, or of all of TCP if there is none")
	f.StringVar(&s.spec.TLS.Key, "tls-key", "", "`file` with its key")
	f.BoolVar(&s.spec.TLS.Self, "tls-self", false, "make a certificate for development, and keep it in the home folder")
	f.StringVar(&s.spec.Log.Level, "debug-level", "", "what the service logs, from this `level` on: "+slogs.LevelNames+" (default WARNING for a program in the foreground, else CONSOLE)")
	f.StringVar(&s.spec.Log.Format, "log-format", "", "log in this `format`: seed, json or text (default seed)")
	for _, one := range s.spec.Manners.Flags() {
		f.Func(one.Name, one.Usage, one.Set)
	}
	s.limits.add(f)
}

// given says whether any of the flags is on the command line.
func (s *specFlags) given(cmd *cobra.Command) bool {
	names := slices.Concat(timeNames, limitNames, []string{"listen", "procs", "route", "service", "settings", "tls-cert", "tls-key", "tls-self", "debug-level", "log-format"})
	for _, one := range s.spec.Manners.Flags() {
		names = append(names, one.Name)
	}
	return slices.ContainsFunc(names, cmd.Flags().Changed)
}

// read returns the checked description of a program's service. What is wrong with it is wrong usage.
func (s *specFlags) read(cmd *cobra.Command) (master.Spec, error) {
	spec, err := s.describe(cmd)
	return spec, misused(err)
}

func (s *specFlags) describe(cmd *cobra.Command) (master.Spec, error) {
	spec := s.spec
	if spec.Procs < 1 {
		return spec, usage("as in --procs 4", "--procs must be above zero")
	}
	if err := s.times.read(cmd, &spec); err != nil {
		return spec, err
	}
	settings, err := readSettings(s.settings)
	if err != nil {
		return spec, err
	}
	spec.Settings = settings
	if err := s.limits.read(cmd, &spec); err != nil {
		return spec, err
	}
	for _, file := range []*string{&spec.TLS.Cert, &spec.TLS.Key} {
		if *file == "" {
			continue
		}
		if *file, err = filepath.Abs(*file); err != nil {
			return spec, err
		}
	}
	return spec, spec.Check()
}

// readStock is the same of a stock server, with its own arguments and flags.
func (s *specFlags) readStock(cmd *cobra.Command, server stock.Server, args []string, given map[string][]string) (master.Spec, error) {
	if cmd.Flags().Changed("service") {
		return s.spec, usage(cmd.CommandPath()+" --help", "--service is for programs: this is the service %s", server.Name)
	}
	s.spec.Service = server.Name
	if len(s.spec.Listen) == 0 {
		s.spec.Listen = server.Listen
	}
	if !cmd.Flags().Changed("procs") {
		s.spec.Procs = server.Procs
	}
	spec, err := s.read(cmd)
	if err == nil {
		err = misused(server.CheckRoute(spec.Route))
	}
	if err != nil {
		return spec, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return spec, err
	}
	words := stock.Words{Args: args, Flags: given, Settings: spec.Settings, Dir: dir}
	if spec.Settings, err = server.Settings(words); err != nil {
		return spec, usage(cmd.CommandPath()+" --help", "%s: %s", cmd.CommandPath(), err)
	}
	return spec, misused(spec.Check())
}

const maxSettings = 512 << 10 // bytes, as many as a keeper takes

// readSettings takes JSON, or the name of a file that holds it.
func readSettings(text string) (json.RawMessage, error) {
	data := []byte(text)
	if path, ok := strings.CutPrefix(text, "@"); ok {
		info, err := os.Stat(path)
		if err == nil && info.Size() > maxSettings {
			return nil, fault.Text(fault.Invalid, "read settings", path, "the file is too large")
		}
		if data, err = os.ReadFile(path); err != nil {
			return nil, fault.New(kindOfFile(err), "read settings", path, err)
		}
	}
	if len(data) > 0 && !json.Valid(data) {
		return nil, usage(`as in --settings '{"greeting":"hello"}'`, "the settings are not JSON")
	}
	return data, nil
}
