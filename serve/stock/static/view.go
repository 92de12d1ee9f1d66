package static

import (
	"io/fs"
	"sync"
	"time"
)

// mostViews is how many paths are remembered. Each is a few hundred bytes.
const mostViews = 10_000

// view is what the disk said about a path: that it is a regular file, and which forms there are
// of it. It never changes.
type view struct {
	at      time.Time
	name    string
	info    fs.FileInfo
	forms   [len(encodings)]fs.FileInfo // nil: not there, or older than the file
	encoded bool                        // one of them is there
}

// views remembers views for a moment, so that a file which is asked for often is not looked at for each
// request. Only paths of files are in it: what is not there takes no room.
type views struct {
	every time.Duration // how long a view holds; 0: not at all

	mu     sync.RWMutex
	byPath map[string]*view
}

func (v *views) get(path string, now time.Time) *view {
	if v.every == 0 {
		return nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if one := v.byPath[path]; one != nil && now.Sub(one.at) < v.every {
		return one
	}
	return nil
}

func (v *views) put(path string, one *view) {
	if v.every == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.byPath) >= mostViews && v.byPath[path] == nil {
		for other := range v.byPath { // any
			delete(v.byPath, other)
			break
		}
	}
	v.byPath[path] = one
}
