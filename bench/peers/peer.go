package peers

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-server/become/bench/rig"
)

// Peer is a running peer. Stop it.
type Peer struct {
	// Name is what the table calls it.
	Name string
	// Addr is where it listens, if it is a server that others put the load on.
	Addr string

	asked   *rig.Child   // the process that answers questions
	stopped []*rig.Child // every process, in the order to stop them
	dir     string       // removed at the end
}

//go:embed scripts
var scripts embed.FS

// newPeer makes a peer with a folder of its own below dir, which holds the scripts named.
func newPeer(name, dir string, files ...string) (*Peer, error) {
	p := &Peer{Name: name}
	var err error
	if p.dir, err = os.MkdirTemp(dir, "peer-"); err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := scripts.ReadFile("scripts/" + f)
		if err == nil {
			err = os.WriteFile(filepath.Join(p.dir, f), b, 0o600)
		}
		if err != nil {
			p.Stop()
			return nil, err
		}
	}
	return p, nil
}

func (p *Peer) path(name string) string { return filepath.Join(p.dir, name) }

// start adds a process. The one started last answers questions, and is
// stopped first.
func (p *Peer) start(env []string, argv ...string) error {
	c, err := rig.Start(p.Name, env, argv...)
	if err != nil {
		return err
	}
	p.add(c)
	return nil
}

func (p *Peer) add(c *rig.Child) {
	p.asked = c
	p.stopped = append([]*rig.Child{c}, p.stopped...)
}

// Ask puts a question to the peer.
func (p *Peer) Ask(ctx context.Context, question string, n int) (rig.Answer, error) {
	return p.asked.Ask(ctx, question, n)
}

// PID is that of the peer's process, if it has one.
func (p *Peer) PID() int { return p.asked.PID() }

// Side is the peer as one side of a comparison.
func (p *Peer) Side(question string, n int) rig.Side {
	if p == nil {
		return nil
	}
	return func(ctx context.Context) (float64, error) {
		a, err := p.Ask(ctx, question, n)
		return a.Value, err
	}
}

// Stop ends the peer's processes and removes its files.
func (p *Peer) Stop() {
	if p == nil {
		return
	}
	for _, c := range p.stopped {
		c.Stop()
	}
	os.RemoveAll(p.dir)
}

// ready asks a peer for its first answer and stops it if there is none.
func (p *Peer) ready(ctx context.Context, err error) (*Peer, error) {
	if err == nil {
		_, err = p.Ask(ctx, "ready", 1)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return p, nil
}
