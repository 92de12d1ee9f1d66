package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/work/roster"
)

// node is a running node and whoever was started to use it. Stop it.
type node struct {
	b     *bench
	home  string
	url   string
	proc  *rig.Child
	boss  []*rig.Child
	fleet *fleet.Fleet // to look at it; nil until asked
}

// up starts a node in a home of its own: become up with more arguments.
func (b *bench) up(ctx context.Context, args ...string) (*node, error) {
	home, err := os.MkdirTemp(b.Dir, "home-")
	if err != nil {
		return nil, err
	}
	n := &node{b: b, home: home}
	argv := append([]string{b.become, "up", "--json", "--home", home}, args...)
	if n.proc, err = rig.Start("become up", withoutFleet, argv...); err != nil {
		return nil, err
	}
	line, err := n.proc.Line(ctx)
	var said struct{ URL string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &said)
	}
	if err != nil {
		n.stop()
		return nil, fmt.Errorf("start node: %w", err)
	}
	n.url = said.URL
	return n, nil
}

// withoutFleet hides a fleet that the environment may name.
var withoutFleet = []string{"BECOME_URL=", "BECOME_KEY=", "BECOME_HOME="}

// env makes a process use the node.
func (n *node) env() []string {
	return []string{"BECOME_URL=" + n.url, "BECOME_KEY=" + filepath.Join(n.home, "key"), "BECOME_HOME=" + n.home}
}

// start starts the program as a boss.
func (n *node) start() (*rig.Child, error) {
	boss, err := rig.Start("the boss", n.env(), n.b.program)
	if err == nil {
		n.boss = append(n.boss, boss)
	}
	return boss, err
}

// command runs the become command on the node.
func (n *node) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, n.b.become, args...)
	cmd.Env = append(os.Environ(), n.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("become %v: %w: %s", args, err, out)
	}
	return nil
}

// status asks the node how it is.
func (n *node) status(ctx context.Context) (*roster.Status, error) {
	if n.fleet == nil {
		f, err := fleet.Connect(ctx, &fleet.Options{URL: n.url, Key: filepath.Join(n.home, "key")})
		if err != nil {
			return nil, err
		}
		n.fleet = f
	}
	all, err := n.fleet.Nodes(ctx, 1)
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// quiet waits until the node runs no process.
func (n *node) quiet(ctx context.Context) error {
	for {
		s, err := n.status(ctx)
		if err != nil {
			return err
		}
		if len(s.Processes) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stop ends the node, its bosses first, and removes its home.
func (n *node) stop() {
	for _, c := range n.boss {
		c.Stop()
	}
	if n.fleet != nil {
		n.fleet.Close()
	}
	n.proc.Stop()
	os.RemoveAll(n.home)
}

// us is a node with a boss.
type us struct {
	*node
	boss *rig.Child
}

// ours starts a node with so many workers and a boss, and makes calls until
// all is warm.
func (b *bench) ours(ctx context.Context, workers int, args ...string) (us, error) {
	n, err := b.up(ctx, append(args, "--workers", strconv.Itoa(workers))...)
	if err != nil {
		return us{}, err
	}
	boss, err := n.start()
	if err == nil {
		_, err = boss.Ask(ctx, "warm", workers)
	}
	if err == nil {
		_, err = boss.Ask(ctx, "call", 100)
	}
	if err != nil {
		n.stop()
		return us{}, err
	}
	return us{n, boss}, nil
}

// side is the boss as one side of a comparison. Each answer is kept in last.
func (u us) side(question string, n int, last *rig.Answer) rig.Side {
	return func(ctx context.Context) (float64, error) {
		a, err := u.boss.Ask(ctx, question, n)
		if last != nil {
			*last = a
		}
		return a.Value, err
	}
}
