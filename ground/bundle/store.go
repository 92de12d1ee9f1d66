package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Store is the fleet's bundles: signed manifests by digest in KV, code by
// digest in Blobs. It has no state of its own and is safe for concurrent use.
type Store struct {
	KV       bus.KV
	Blobs    bus.Blobs
	Verifier Verifier // whose signature is believed
}

// Code opens a bundle's code for one reading.
type Code func() (io.ReadCloser, error)

// File is the code in a file.
func File(path string) Code {
	return func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, openError("read code", path, err)
		}
		return f, nil
	}
}

// Text is code held in memory, as of a script.
func Text(code string) Code {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(code)), nil }
}

func openError(op, path string, err error) error {
	kind := fault.Internal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = fault.NotFound
	case errors.Is(err, fs.ErrPermission):
		kind = fault.Denied
	}
	return fault.New(kind, op, path, err)
}

// Manifest returns the manifest of a bundle. fault.NotFound when there is none,
// fault.Denied when what is there is not signed by a trusted key for this digest.
func (s *Store) Manifest(ctx context.Context, digest string) (Manifest, error) {
	if !ValidDigest(digest) {
		return Manifest{}, fault.Text(fault.Invalid, "find bundle", digest, "this is no digest")
	}
	entry, err := s.KV.Get(ctx, digest)
	if err != nil {
		return Manifest{}, fault.New(fault.KindOf(err), "find bundle", digest, err)
	}
	return s.unseal(digest, entry.Value)
}

func (s *Store) unseal(digest string, b []byte) (Manifest, error) {
	m, err := Unseal(b, s.Verifier)
	if err == nil && m.Digest != digest {
		err = denied("it was signed for " + m.Digest)
	}
	if err != nil {
		return Manifest{}, fault.New(fault.KindOf(err), "use bundle", digest, err)
	}
	return m, nil
}

// Has reports whether manifest and code are both there, the one signed and the
// other as long as the manifest says.
func (s *Store) Has(ctx context.Context, digest string) (bool, error) {
	m, err := s.Manifest(ctx, digest)
	if err == nil {
		return s.hasCode(ctx, m)
	}
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return false, err
}

func (s *Store) hasCode(ctx context.Context, m Manifest) (bool, error) {
	info, err := s.Blobs.Stat(ctx, m.Digest)
	if err == nil {
		return info.Size == m.Size, nil
	}
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return false, fault.New(fault.KindOf(err), "find code", m.Digest, err)
}

// Put stores a bundle unless it is there already; uploaded tells whether its code
// had to be sent. The manifest is signed by key. progress, if not nil, hears how many bytes
// of how many were read. fault.Denied when the code is not what the manifest says: nothing
// is stored that would be believed then.
func (s *Store) Put(ctx context.Context, m Manifest, code Code, key Signer, progress func(sent, total int64)) (uploaded bool, err error) {
	sealed, err := Seal(m, key)
	if err != nil {
		return false, err
	}
	there, err := s.hasCode(ctx, m)
	if err != nil {
		return false, err
	}
	if there {
		// A manifest that cannot be believed is replaced, and so is one that is absent.
		if _, err := s.Manifest(ctx, m.Digest); err == nil {
			return false, nil
		}
	} else if err := s.upload(ctx, m, code, progress); err != nil {
		return false, fault.New(fault.KindOf(err), "upload bundle", m.Digest, err)
	}
	if _, err := s.KV.Put(ctx, m.Digest, sealed); err != nil {
		return !there, fault.New(fault.KindOf(err), "store manifest", m.Digest, err)
	}
	return !there, nil
}

func (s *Store) upload(ctx context.Context, m Manifest, code Code, progress func(sent, total int64)) error {
	r, err := code()
	if err != nil {
		return err
	}
	defer r.Close()
	c := newChecked(r, m.Digest, m.Size)
	c.seen = progress
	return s.Blobs.Put(ctx, m.Digest, c)
}

// Open returns the code of a bundle as the bus gives it: a reader has to verify
// it, as Cache does. fault.NotFound.
func (s *Store) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	if !ValidDigest(digest) {
		return nil, fault.Text(fault.Invalid, "open code", digest, "this is no digest")
	}
	r, err := s.Blobs.Open(ctx, digest)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "open code", digest, err)
	}
	return r, nil
}

// List returns all manifests that a trusted key signed, ordered by name and
// digest. Others are left out.
func (s *Store) List(ctx context.Context) ([]Manifest, error) {
	entries, err := s.entries(ctx)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "list bundles", "", err)
	}
	var list []Manifest
	for _, e := range entries {
		if m, err := s.unseal(e.Key, e.Value); err == nil {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Manifest) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	return list, nil
}

// entries collects what a watch tells up to its mark that all was told.
func (s *Store) entries(ctx context.Context) ([]bus.Entry, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var entries []bus.Entry
	all := make(chan struct{})
	told := false
	err := s.KV.Watch(watching, "", func(e bus.Entry) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case told:
		case e.Key == "":
			told = true
			close(all)
		case !e.Deleted:
			entries = append(entries, e)
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-all:
		return entries, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
