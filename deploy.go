package become

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
)

// Script is JavaScript that a name can become: one source without imports,
// which sets exports.name = (argument) => answer for each of its functions.
type Script struct {
	Source    string
	Functions []string // what it exports
}

// Version is what stands, or stood, behind a name.
type Version = fleet.Version

// warmWithin is how long a new version may take until a worker of it is ready.
const warmWithin = 30 * time.Second

// Deploy lets a name become the script: a hot swap. A worker of the new version is
// started first, and only when it is ready the name points at it. From then on
// calls by that name ([Named]) use the new version, those that run finish on theirs. When the
// script cannot start nothing changes, and the error says why.
func (f *Fleet) Deploy(ctx context.Context, name string, s Script) (Version, error) {
	if !goodName.MatchString(name) {
		return Version{}, fault.Text(fault.Invalid, "deploy", fmt.Sprintf("%q", name), "a name is letters, digits, '_' and '-'")
	}
	m, err := s.manifest(name)
	if err != nil {
		return Version{}, err
	}
	if _, err := f.f.ShipBytes(ctx, m, []byte(s.Source)); err != nil {
		return Version{}, err
	}
	if err := f.f.Warm(ctx, m.Digest, warmWithin); err != nil {
		return Version{}, fault.New(fault.KindOf(err), "deploy", name, err)
	}
	d, err := f.f.Deploy(ctx, name, m.Digest, s.Functions, programName())
	return version(d), err
}

// Rollback lets a name become what it was before the last change.
// fault.NotFound when it was nothing else.
func (f *Fleet) Rollback(ctx context.Context, name string) (Version, error) {
	d, err := f.f.Rollback(ctx, name, "", programName())
	return version(d), err
}

func (s Script) manifest(name string) (bundle.Manifest, error) {
	if len(s.Functions) == 0 {
		return bundle.Manifest{}, fault.Text(fault.Invalid, "deploy", name, "the script names no function")
	}
	digest, size, err := bundle.Digest(bytes.NewReader([]byte(s.Source)))
	if err != nil {
		return bundle.Manifest{}, err
	}
	m := bundle.Manifest{Digest: digest, Kind: bundle.JS, Name: name, Size: size}
	for _, function := range s.Functions {
		if !goodName.MatchString(function) {
			return bundle.Manifest{}, fault.Text(fault.Invalid, "deploy", name, fmt.Sprintf("%q is no name of a function", function))
		}
		m.Exports = append(m.Exports, bundle.Export{Name: function})
	}
	return m, nil
}

func version(d fleet.Deployment) Version {
	return Version{Digest: d.Digest, Functions: d.Functions, Since: d.Since, By: d.By}
}
