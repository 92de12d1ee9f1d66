package become

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Fleet is this program's connection to a fleet. Functions take it to know
// where to run. It is safe for use by several goroutines.
type Fleet struct {
	f *fleet.Fleet

	mu     sync.Mutex
	digest string // of this program, once it is in the fleet
}

// Config says which fleet. The zero value means: the one that the environment
// names (BECOME_URL, BECOME_KEY), else the node on this machine, else none: then
// this process is a fleet of its own.
type Config struct {
	// URL of the fleet's bus: nats://host:port or tls://host:port.
	URL string
	// Key of the fleet, or the path of the file that holds it.
	Key string
	// Alone makes this process a fleet of its own, whatever else there is.
	Alone bool
	// Scripts makes the engine of a deployed script when this process is a fleet of its own; a node needs
	// no help with it. Default: none, so that no program carries an engine it does not use.
	Scripts func(name string, source []byte) (engine.Engine, error)
	// Logger takes what the connection has to tell. Default: nothing is told.
	Logger *slog.Logger
}

// Connect joins a fleet. A program whose functions are to run on the fleet's
// workers calls [Init] first, or uses [Main], which does both. Close the Fleet.
func Connect(ctx context.Context, config Config) (*Fleet, error) {
	if !config.Alone {
		f, err := fleet.Connect(ctx, &fleet.Options{URL: config.URL, Key: config.Key, Name: programName(), Logger: config.Logger})
		if err == nil {
			return &Fleet{f: f}, nil
		}
		if !errors.Is(err, fleet.ErrNoNode) {
			return nil, err
		}
	}
	p := newPlace()
	f, err := fleet.Local(ctx, engineAt(p), config.opener(), config.Logger)
	if err != nil {
		return nil, err
	}
	alone := &Fleet{f: f, digest: fleet.LocalDigest}
	p.set(alone)
	return alone, nil
}

func (c Config) opener() fleet.Opener {
	if c.Scripts == nil {
		return nil
	}
	return func(m bundle.Manifest, source []byte) (engine.Engine, error) {
		if m.Kind != bundle.JS {
			return nil, fault.Text(fault.Invalid, "open", m.Name, fmt.Sprintf("this process runs no bundle of kind %q", m.Kind))
		}
		return c.Scripts(m.Name, source)
	}
}

// Alone reports whether the fleet is this process and no other.
func (f *Fleet) Alone() bool { return f.f.URL() == "" }

// Close cancels the calls under way and leaves the fleet.
func (f *Fleet) Close() error { return f.f.Close() }

// target returns the digest of the bundle to call.
func (f *Fleet) target(ctx context.Context, deployment string) (string, error) {
	if deployment != "" {
		d, err := f.f.Resolve(ctx, deployment)
		return d.Digest, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.digest != "" {
		return f.digest, nil
	}
	digest, err := f.ship(ctx)
	if err == nil {
		f.digest = digest
	}
	return digest, err
}

// ship brings this program's executable into the fleet, unless it is there.
func (f *Fleet) ship(ctx context.Context) (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fault.New(fault.Internal, "find", "this program's executable", err)
	}
	digest, size, err := bundle.FileDigest(path)
	if err != nil {
		return "", err
	}
	m := bundle.Manifest{
		Digest: digest, Kind: bundle.Native, Name: programName(),
		GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, Size: size, Exports: exports(), Services: services(),
	}
	_, err = f.f.Ship(ctx, m, func() (io.ReadCloser, error) { return os.Open(path) }, shipProgress)
	return digest, err
}

func programName() string {
	path, err := os.Executable()
	if err != nil {
		return "program"
	}
	return nameOfFile(path)
}

// nameOfFile is the name of the program in a file; one in a node's cache, whose name is its whole digest, is called as commands show it.
func nameOfFile(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	if sum, err := hex.DecodeString(name); err == nil && len(sum) == sha256.Size {
		return name[:12]
	}
	return name
}
