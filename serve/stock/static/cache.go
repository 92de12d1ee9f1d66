package static

import (
	"io/fs"
	"os"
	"sync"
	"time"
)

// settled is how long a file must be unchanged before its size and time are trusted to tell of
// its next change: file systems count time in ticks, and a change within the same one shows
// in neither.
const settled = 2 * time.Second

// entry is a small file in memory with what is said about it, ready to be sent. It never changes.
type entry struct {
	info     fs.FileInfo
	body     []byte
	typ      []string // Content-Type
	etag     []string
	length   []string // Content-Length
	modified []string // Last-Modified
	encoding []string // Content-Encoding, or nil
}

// cost is what the entry counts for in the cache.
func (e *entry) cost() int64 { return int64(len(e.body)) + 1024 }

// fits reports whether the file is still the one that was read.
func (e *entry) fits(info fs.FileInfo) bool {
	return e.info.Size() == info.Size() && e.info.ModTime().Equal(info.ModTime()) && os.SameFile(e.info, info)
}

// key is a file and the name it was asked by: the content type depends on that.
type key struct {
	name     string
	encoding *encoding
}

// cache keeps entries up to a limit. What leaves when it is full is random: it costs nothing
// on the way of a hit, and what is asked for often is back soon.
type cache struct {
	limit int64

	mu      sync.RWMutex
	entries map[key]*entry
	used    int64
}

func (c *cache) get(k key) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[k]
}

func (c *cache) put(k key, e *entry) {
	if e.cost() > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(k)
	for other := range c.entries {
		if c.used+e.cost() <= c.limit {
			break
		}
		c.dropLocked(other)
	}
	c.entries[k] = e
	c.used += e.cost()
}

func (c *cache) drop(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(k)
}

func (c *cache) dropLocked(k key) {
	if old := c.entries[k]; old != nil {
		c.used -= old.cost()
		delete(c.entries, k)
	}
}
