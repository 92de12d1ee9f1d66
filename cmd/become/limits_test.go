//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/serve/master"
)

// readFlags reads a command line as become serve does.
func readFlags(t *testing.T, args ...string) (master.Spec, error) {
	t.Helper()
	var flags specFlags
	cmd := &cobra.Command{}
	flags.add(cmd.Flags())
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return flags.read(cmd)
}

func TestLimitFlags_BecomeADescription(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want master.Spec
	}{
		{"", master.Spec{}},
		{"--memory 256MB --cpu 0.5 --max-tasks 100 --max-files 1000", master.Spec{Limits: confine.Limits{Memory: 256 << 20, CPU: 0.5, Tasks: 100, OpenFiles: 1000}}},
		{"--new-privileges", master.Spec{NewPrivileges: true}},
		{"--landlock", master.Spec{Landlock: &confine.Landlock{}}},
		{"--read-only /srv --read-only pages --read-write /tmp --executable /bin", master.Spec{Landlock: &confine.Landlock{
			ReadOnly: []string{"/srv", filepath.Join(here, "pages")}, ReadWrite: []string{"/tmp"}, Executable: []string{"/bin"},
		}}},
		{"--bind-port none --connect-port 443 --connect-port 53", master.Spec{Landlock: &confine.Landlock{BindPorts: []uint16{}, ConnectPorts: []uint16{443, 53}}}},
	} {
		got, err := readFlags(t, strings.Fields(c.args)...)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		got = master.Spec{Limits: got.Limits, Landlock: got.Landlock, NewPrivileges: got.NewPrivileges}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.args, got, c.want)
		}
	}
}

func TestLimitFlags_WhatMakesNoSenseIsTold(t *testing.T) {
	for args, want := range map[string]string{
		"--memory 256":                          `cannot read size "256": a size is a number with a unit`,
		"--memory 0MB":                          `--memory must be above zero`,
		"--memory 1MB":                          `1 MiB of memory, the least is 16 MiB`,
		"--cpu 0":                               `--cpu must be above zero`,
		"--cpu=-1":                              `-1 cores, must be 0.01 to 4096`,
		"--max-files 3":                         `3 open files, the least is 16`,
		"--max-tasks 0":                         `--max-tasks must be above zero`,
		"--bind-port http":                      `--bind-port "http" is no port`,
		"--connect-port 1 --connect-port 65536": `--connect-port "65536" is no port`,
		"--bind-port 1 --bind-port none":        `--bind-port "none" is no port`,
		"--landlock=false --read-only /":        `the other flags mean --landlock`,
	} {
		_, err := readFlags(t, strings.Fields(args)...)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", args, err, want)
		}
	}
	var misuse *usageError
	if _, err := readFlags(t, "--cpu", "0"); !errors.As(err, &misuse) {
		t.Errorf("got %T, want a wrong command line", err)
	}
}

func TestLimitFlags_AreAllListed(t *testing.T) {
	var limits limitFlags
	cmd := &cobra.Command{}
	limits.add(cmd.Flags())
	for _, name := range limitNames {
		if cmd.Flags().Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
	}
	if i := slices.Index(limitNames, "landlock"); i != landlockNames {
		t.Errorf("the flags of Landlock begin at %d", i)
	}
}
