package peers

import (
	"context"
	"fmt"
	"os"
)

// roleEnv makes a process of this program one of a peer's.
const roleEnv = "BENCH_ROLE"

var roles = map[string]func(context.Context) error{
	"asynq-worker":     asynqWorker,
	"asynq-boss":       asynqBoss,
	"jetstream-server": jetstreamServer,
	"jetstream-worker": jetstreamWorker,
	"jetstream-boss":   jetstreamBoss,
	"socket-server":    socketServer,
	"socket-client":    socketClient,
	"spin":             spin,
}

// Role makes this process what it was started as, if that is a part of a
// peer; then it does not return. Call it first in main.
func Role() {
	name := os.Getenv(roleEnv)
	if name == "" {
		return
	}
	f := roles[name]
	if f == nil {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	if err := f(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// role starts a process of this program in a role.
func (p *Peer) role(name string, env ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return p.start(append(env, roleEnv+"="+name), self)
}
