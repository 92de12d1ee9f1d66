package embedded

import (
	"context"
	"os"

	"github.com/universal-server/become"
	"github.com/universal-server/become/node"
)

// Options are those of a node. An empty Home means a temporary one, removed by
// Close: jobs then do not outlive the program.
type Options = node.Options

// Fleet is a fleet of this program, and its connection to it. Close it.
type Fleet struct {
	*become.Fleet
	node *node.Node
	temp string
}

// Start starts a fleet. ctx bounds the start only. The program must have
// called become.Init before.
func Start(ctx context.Context, opts Options) (*Fleet, error) {
	f := &Fleet{}
	var err error
	if opts.Home == "" {
		if f.temp, err = os.MkdirTemp("", "become-"); err != nil {
			return nil, err
		}
		opts.Home = f.temp
	}
	if f.node, err = node.Start(ctx, opts); err == nil {
		f.Fleet, err = become.Connect(ctx, become.Config{URL: f.node.URL(), Key: f.node.KeyText(), Logger: opts.Logger})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// URL is where others reach the fleet's bus.
func (f *Fleet) URL() string { return f.node.URL() }

// Key is the fleet's key as text: a secret.
func (f *Fleet) Key() string { return f.node.KeyText() }

// Close lets running tasks finish for a short while and ends every process of
// the fleet.
func (f *Fleet) Close() error {
	var err error
	if f.Fleet != nil {
		err = f.Fleet.Close()
	}
	if f.node != nil {
		if e := f.node.Stop(); err == nil {
			err = e
		}
	}
	if f.temp != "" {
		if e := os.RemoveAll(f.temp); err == nil {
			err = e
		}
	}
	return err
}
