package home

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/fault"
)

const (
	// Env names the variable that overrides the home's place.
	Env = "BECOME_HOME"

	format     = "1"
	markerName = "become-home"
	lockName   = "lock"
	aliveName  = "alive"
	nodeName   = "node.json"
	idName     = "id"
	runName    = "run"
	awayName   = "run-away" // holds the path of a Run folder outside

	// Find takes the lock of alive for a moment, which Open waits out.
	aliveTries = 200
	alivePause = 5 * time.Millisecond
)

// Default returns the place of the home: $BECOME_HOME, else ~/.become, else, for a
// user without a home folder, become-<uid> in the folder for temporary files.
func Default() string {
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	if dir, err := os.UserHomeDir(); err == nil && filepath.IsAbs(dir) {
		return filepath.Join(dir, ".become")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("become-%d", os.Getuid()))
}

// Home is an open home. Its methods may be called by several goroutines.
type Home struct {
	dir  string
	id   string
	run  string
	away bool // run is outside

	mu    sync.Mutex
	lock  *os.File // nil after Close
	alive *os.File // locked while node.json can only be ours
}

// Open takes the home in dir, which it creates if need be, until Close. Errors:
// fault.Busy when another process has it, fault.Denied when somebody else could write to it,
// fault.Invalid when it is another kind of folder or from a newer program.
func Open(dir string) (*Home, error) {
	h, err := open(dir)
	if err != nil {
		return nil, failed(dir, err)
	}
	return h, nil
}

func failed(dir string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	kind := fault.KindOf(err)
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	return fault.New(kind, "open home", dir, err)
}

// Share calls f with the folder of that name in the home in dir, both of which it creates if need be. The folder
// holds what all processes of this user share, whether a node has the home open or not; one of them at a time
// is in f. The errors are those of Open, fault.Busy when another one stays in f, and f's.
func Share(dir, name string, f func(folder string) error) error {
	dir, err := take(dir)
	if err != nil {
		return failed(dir, err)
	}
	folder := filepath.Join(dir, name)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return failed(dir, err)
	}
	if err := checkFolder(folder); err != nil {
		return failed(dir, err)
	}
	lock, err := lockSoon(filepath.Join(folder, lockName))
	if err != nil {
		return failed(dir, err)
	}
	defer lock.Close()
	return f(folder)
}

// lockSoon locks a file until it is closed, and waits for others a moment.
func lockSoon(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for range aliveTries {
		taken, err := lockFile(f, true)
		if taken {
			return f, nil
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		time.Sleep(alivePause)
	}
	f.Close()
	return nil, refuse(fault.Busy, filepath.Dir(path), "its file "+filepath.Base(path)+" stays locked", "find out who holds it, with lsof for example")
}

// take makes a folder ours, if it may be, and returns its whole path.
func take(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return dir, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dir, err
	}
	if err := checkFolder(dir); err != nil {
		return dir, err
	}
	return dir, claim(dir)
}

func open(dir string) (*Home, error) {
	h, err := locked(dir)
	for range aliveTries {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		h, err = locked(dir) // it was destroyed meanwhile
	}
	if err != nil {
		return nil, err
	}
	if err := h.settle(); err != nil {
		h.unlock()
		return nil, err
	}
	return h, nil
}

// locked makes a folder ours and locks it. fs.ErrNotExist when another process destroys it at this moment.
func locked(dir string) (*Home, error) {
	dir, err := take(dir)
	if err != nil {
		return nil, err
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	if err := claim(dir); err != nil { // what says that it is a home may have been removed before the lock was ours
		lock.Close()
		return nil, err
	}
	return &Home{dir: dir, lock: lock}, nil
}

func refuse(kind fault.Kind, dir, text, hint string) error {
	return fault.Text(kind, "open home", dir, text).WithHint(hint)
}

// claim makes an empty folder ours, and refuses one that is neither.
func claim(dir string) error {
	marker := filepath.Join(dir, markerName)
	b, err := os.ReadFile(marker)
	if err == nil {
		if got := strings.TrimSpace(string(b)); got != format {
			return refuse(fault.Invalid, dir, fmt.Sprintf("its format is %q, this program knows %s", got, format),
				"update the program, or choose another folder with "+Env)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		// Another process may be claiming the folder at this moment.
		if !strings.HasPrefix(e.Name(), markerName) && e.Name() != lockName && e.Name() != aliveName {
			if _, err := os.Stat(marker); err == nil { // it has claimed it, and more
				return claim(dir)
			}
			return refuse(fault.Invalid, dir, "the folder is not empty and no home of become",
				"choose another folder with "+Env)
		}
	}
	return disk.WriteFile(marker, []byte(format+"\n"))
}

func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := lockFile(f, true)
	if taken {
		if err = still(f); err == nil {
			return f, nil
		}
	}
	f.Close()
	if err != nil {
		return nil, err
	}
	who := "in use by another process"
	if b, err := os.ReadFile(filepath.Join(dir, lockName)); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			who = fmt.Sprintf("in use by process %d", pid)
		}
	}
	return nil, refuse(fault.Busy, dir, who, "stop that node, or choose another folder with "+Env)
}

// still returns an error when a locked file is not in its folder any more: Destroy may have removed it between its opening and its locking.
func still(f *os.File) error {
	ours, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(f.Name())
	if err == nil && !os.SameFile(ours, there) {
		err = fs.ErrNotExist
	}
	return err
}

// settle does what needs the lock. The order matters to Find: the old contact
// goes before alive is locked.
func (h *Home) settle() error {
	if err := h.lock.Truncate(0); err != nil {
		return err
	}
	if _, err := h.lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return err
	}
	if err := removeIfThere(h.path(nodeName)); err != nil {
		return err
	}
	if err := h.lockAlive(); err != nil {
		return err
	}
	for _, dir := range []string{h.Bus(), h.Cache(), h.Logs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := h.readID(); err != nil {
		return err
	}
	return h.openRun()
}

func (h *Home) lockAlive() (err error) {
	h.alive, err = lockSoon(h.path(aliveName))
	return err
}

// unlock gives the locks free, the one that stands for the contact first.
func (h *Home) unlock() error {
	var err error
	if h.alive != nil {
		err = h.alive.Close()
	}
	return errors.Join(err, h.lock.Close())
}

var idAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (h *Home) readID() error {
	b, err := os.ReadFile(h.path(idName))
	if errors.Is(err, fs.ErrNotExist) {
		random := make([]byte, 5)
		rand.Read(random)
		h.id = idAlphabet.EncodeToString(random)
		return disk.WriteFile(h.path(idName), []byte(h.id+"\n"))
	}
	if err != nil {
		return err
	}
	h.id = strings.TrimSpace(string(b))
	if raw, err := idAlphabet.DecodeString(h.id); err != nil || len(raw) != 5 {
		return refuse(fault.Invalid, h.dir, "its file id is damaged",
			"remove "+h.path(idName)+": the node gets a new id")
	}
	return nil
}

// Dir returns the folder itself.
func (h *Home) Dir() string { return h.dir }

// Bus, Cache and Logs return folders that exist: of the embedded bus, of bundles, of logs. Runs may not exist: of the
// services' history.
func (h *Home) Bus() string   { return h.path("bus") }
func (h *Home) Cache() string { return h.path("cache") }
func (h *Home) Logs() string  { return h.path("logs") }
func (h *Home) Runs() string  { return h.path("runs") }

// Key returns the path of the fleet's key file, which may not exist.
func (h *Home) Key() string { return h.path("key") }

// ID returns the node's id: eight characters a-z and 2-7.
func (h *Home) ID() string { return h.id }

func (h *Home) path(name string) string { return filepath.Join(h.dir, name) }

// Close removes the contact and the Run folder's content and gives the home
// free. It may be called twice.
func (h *Home) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lock == nil {
		return nil
	}
	err := errors.Join(removeIfThere(h.path(nodeName)), h.closeRun(), h.unlock())
	h.lock = nil
	if err != nil {
		return fault.New(fault.Internal, "close home", h.dir, err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
