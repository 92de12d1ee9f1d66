package rig

import (
	"context"
	"fmt"
	"os"
)

// roleEnv makes a process of this program one of those that a measure needs.
const roleEnv = "BENCH_ROLE"

// Roles are what a process of this program can be, by name.
type Roles map[string]func(context.Context) error

// Role makes this process what it was started as, if that is one of these roles; then it
// does not return. Call it first in main.
func Role(all ...Roles) {
	name := os.Getenv(roleEnv)
	if name == "" {
		return
	}
	for _, roles := range all {
		if f := roles[name]; f != nil {
			if err := f(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	fmt.Fprintf(os.Stderr, "no role %q\n", name)
	os.Exit(2)
}

// StartRole starts a process of this program in a role.
func StartRole(name, role string, env ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return Start(name, append(env, roleEnv+"="+role), self)
}
