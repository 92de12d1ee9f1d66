package archive

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

const (
	// Version is the form of archives that this package writes, and the only one that it reads.
	Version = 1

	recordsName = "fleet.json"
	codeFolder  = "code/"
	maxRecords  = 64 << 20 // bytes of fleet.json
)

// Fleet is what an archive holds, but the code.
type Fleet struct {
	Version int       `json:"version"`
	Taken   time.Time `json:"taken"`
	By      string    `json:"by,omitempty"`
	// Roles are services as they were: only what each was then, not what it was before.
	Roles []role.Role `json:"roles"`
	// Names are the functions' names.
	Names []fleet.Deployment `json:"names"`
	// Bundles are the code that roles and names stand for, each once.
	Bundles []bundle.Manifest `json:"bundles"`
}

// Write writes an archive; open returns the code of a bundle by its digest.
func Write(path string, f Fleet, open func(digest string) (io.ReadCloser, error)) error {
	err := write(path, f, open)
	if err != nil {
		return fault.New(fault.KindOf(err), "write archive", path, err)
	}
	return nil
}

func write(path string, f Fleet, open func(digest string) (io.ReadCloser, error)) (err error) {
	f.Version = Version
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // for its owner only
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // when it was not renamed
	z := zip.NewWriter(out)
	// A program is 7 % larger than it might be, and written four times as fast.
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	err = writeAll(z, f, open)
	err = errors.Join(err, z.Close(), out.Sync(), out.Close())
	if err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

func writeAll(z *zip.Writer, f Fleet, open func(string) (io.ReadCloser, error)) error {
	w, err := z.Create(recordsName)
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return err
	}
	for _, m := range f.Bundles {
		if err := writeCode(z, m, open); err != nil {
			return fault.New(fault.KindOf(err), "copy code", m.Digest, err)
		}
	}
	return nil
}

func writeCode(z *zip.Writer, m bundle.Manifest, open func(string) (io.ReadCloser, error)) error {
	code, err := open(m.Digest)
	if err != nil {
		return err
	}
	defer code.Close()
	w, err := z.Create(codeFolder + m.Digest)
	if err != nil {
		return err
	}
	return copyCode(w, code, m)
}

// copyCode copies the code of a bundle, and fails when it is another one.
func copyCode(w io.Writer, code io.Reader, m bundle.Manifest) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(code, m.Size+1))
	if err == nil && (n != m.Size || hex.EncodeToString(h.Sum(nil)) != m.Digest) {
		err = errors.New("it is another one")
	}
	return err
}

// Archive is an open one, all of it checked.
type Archive struct {
	Fleet
	zip *zip.ReadCloser
}

// Open opens an archive and checks all of it. fault.NotFound when there is no file, fault.Invalid when it is no archive, or not one that
// can be relied on.
func Open(path string) (*Archive, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		kind := fault.Invalid
		switch {
		case errors.Is(err, os.ErrNotExist):
			kind = fault.NotFound
		case errors.Is(err, zip.ErrFormat):
			err = errors.New("it is no archive, or only a part of one")
		}
		return nil, fault.New(kind, "open archive", path, err)
	}
	a := &Archive{zip: z}
	if err := a.read(); err != nil {
		z.Close()
		return nil, fault.New(fault.Invalid, "open archive", path, err)
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.zip.Close() }

// Code returns the code of a bundle.
func (a *Archive) Code(digest string) (io.ReadCloser, error) { return a.zip.Open(codeFolder + digest) }

func (a *Archive) read() error {
	f, err := a.zip.Open(recordsName)
	if err != nil {
		return fmt.Errorf("there is no %s in it", recordsName)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecords+1))
	if err != nil {
		return err
	}
	if len(data) > maxRecords {
		return fmt.Errorf("%s is longer than %d bytes", recordsName, maxRecords)
	}
	if err := json.Unmarshal(data, &a.Fleet); err != nil {
		return fmt.Errorf("%s: %w", recordsName, err)
	}
	return a.check()
}

// check makes sure that everything in the archive is what it is said to be.
func (a *Archive) check() error {
	if a.Version != Version {
		return fmt.Errorf("its form is version %d, this program knows version %d", a.Version, Version)
	}
	there := map[string]bool{}
	for _, m := range a.Bundles {
		if err := a.checkCode(m); err != nil {
			return err
		}
		there[m.Digest] = true
	}
	taken := map[string]bool{}
	for _, d := range a.Names {
		if d.Name == "" || taken[d.Name] || !there[d.Digest] {
			return fmt.Errorf("the name %q is there twice, or has no code", d.Name)
		}
		taken[d.Name] = true
	}
	for _, r := range a.Roles {
		if r.Name == "" || taken[r.Name] || (r.Now.Stock == "") == (r.Now.Digest == "") || r.Now.Digest != "" && !there[r.Now.Digest] {
			return fmt.Errorf("the service %q is there twice, or has no code", r.Name)
		}
		if err := r.Now.Spec.Check(); err != nil {
			return fmt.Errorf("service %q: %w", r.Name, err)
		}
		taken[r.Name] = true
	}
	return nil
}

func (a *Archive) checkCode(m bundle.Manifest) error {
	if err := m.Check(); err != nil {
		return err
	}
	f, err := a.Code(m.Digest)
	if err != nil {
		return fmt.Errorf("the code %s is missing", m.Digest)
	}
	defer f.Close()
	if err := copyCode(io.Discard, f, m); err != nil {
		return fmt.Errorf("the code %s: %w", m.Digest, err)
	}
	return nil
}
