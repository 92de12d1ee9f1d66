package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-server/become/ground/disk"
)

const (
	// maxSocketPath is the length of sun_path on the strictest system, less the final zero.
	maxSocketPath = 103
	// SocketName is how long a name in Run may be.
	SocketName = 40

	awayPrefix = "become-run-"
)

// Run returns a folder for Unix sockets, empty at Open. A name in it of at most
// SocketName bytes makes a path that a socket can have: if the home's own path is
// too long for that, Run is a fresh folder of this user elsewhere.
func (h *Home) Run() string { return h.run }

func (h *Home) openRun() error {
	if err := h.removeAway(); err != nil {
		return err
	}
	h.run = h.path(runName)
	if err := os.RemoveAll(h.run); err != nil {
		return err
	}
	if len(h.run)+1+SocketName <= maxSocketPath {
		return os.Mkdir(h.run, 0o700)
	}
	dir, err := os.MkdirTemp(shortFolder(), awayPrefix)
	if err != nil {
		return err
	}
	h.run, h.away = dir, true
	return disk.WriteFile(h.path(awayName), []byte(dir))
}

// shortFolder returns where a short-lived folder with a short path belongs.
func shortFolder() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	long := len(dir)+len("/"+awayPrefix+"0123456789/")+SocketName > maxSocketPath
	if info, err := os.Stat(dir); filepath.IsAbs(dir) && !long && err == nil && info.IsDir() && checkFolder(dir) == nil {
		return dir
	}
	if info, err := os.Stat("/tmp"); err == nil && info.IsDir() {
		return "/tmp" // os.TempDir is a long path on macOS
	}
	return os.TempDir()
}

// removeAway removes the Run folder that a crashed node left elsewhere. It
// removes nothing that does not look like one.
func (h *Home) removeAway() error {
	b, err := os.ReadFile(h.path(awayName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := string(b)
	info, err := os.Lstat(dir)
	if filepath.IsAbs(dir) && strings.HasPrefix(filepath.Base(dir), awayPrefix) &&
		err == nil && info.IsDir() && checkFolder(dir) == nil {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.Remove(h.path(awayName))
}

func (h *Home) closeRun() error {
	if h.away {
		return errors.Join(os.RemoveAll(h.run), removeIfThere(h.path(awayName)))
	}
	return os.RemoveAll(h.run)
}
