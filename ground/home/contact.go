package home

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/fault"
)

// Contact says how to reach the node that runs in a home.
type Contact struct {
	PID  int    `json:"pid"`
	URL  string `json:"url"`  // of the bus
	Node string `json:"node"` // its id
	// Embedded is set for a fleet that lives only as long as some command.
	Embedded bool      `json:"embedded,omitempty"`
	Started  time.Time `json:"started"`
}

// maxContact bounds what Find reads.
const maxContact = 64 << 10

// Publish makes the contact known to Find until Close, in place of an earlier
// one. fault.Lost after Close.
func (h *Home) Publish(c Contact) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lock == nil {
		return fault.Text(fault.Lost, "publish contact", h.dir, "home is closed")
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = disk.WriteFile(h.path(nodeName), append(b, '\n'))
	}
	if err != nil {
		return fault.New(fault.Internal, "publish contact", h.dir, err)
	}
	return nil
}

// Find returns the contact of the node that runs in the home dir now; false when
// there is none, or none that has published yet. fault.Denied when somebody else
// could have written the contact.
func Find(dir string) (Contact, bool, error) {
	c, ok, err := find(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return c, ok, nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return Contact{}, false, f
	}
	return Contact{}, false, fault.New(fault.Internal, "find node", dir, err)
}

func find(dir string) (Contact, bool, error) {
	if _, err := os.Stat(filepath.Join(dir, nodeName)); err != nil {
		return Contact{}, false, err
	}
	if err := checkFolder(dir); err != nil {
		return Contact{}, false, err
	}
	taken, err := isAlive(dir)
	if !taken || err != nil {
		return Contact{}, false, err
	}
	info, err := os.Stat(filepath.Join(dir, nodeName))
	if err != nil {
		return Contact{}, false, err
	}
	if info.Size() > maxContact {
		return Contact{}, false, fault.Text(fault.Invalid, "find node", dir, "its file "+nodeName+" is too long")
	}
	b, err := os.ReadFile(filepath.Join(dir, nodeName))
	if err != nil {
		return Contact{}, false, err
	}
	c, err := decodeContact(b)
	return c, err == nil, err
}

func decodeContact(b []byte) (c Contact, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return Contact{}, fault.New(fault.Invalid, "read contact", "", err)
	}
	return c, nil
}

// isAlive reports whether a node has the home. It asks by taking the lock, shared.
func isAlive(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, aliveName))
	if err != nil {
		return false, err
	}
	defer f.Close() // gives the lock free, too
	free, err := lockFile(f, false)
	return !free && err == nil, err
}
