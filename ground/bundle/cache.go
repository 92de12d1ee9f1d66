package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

const (
	// DefaultCacheBytes is the bound of a cache opened with none.
	DefaultCacheBytes = 2 << 30

	tempPrefix = "fetch-"
)

// Cache is a node's folder of verified code, one file a bundle, named by its
// digest. It has no goroutines.
type Cache struct {
	dir      string
	maxBytes int64

	mu      sync.Mutex // guards everything below
	files   map[string]*cached
	flights map[string]*flight
}

// cached is one file.
type cached struct {
	size int64
	used time.Time
	refs int // how many use it; above 0 it is not evicted
}

// flight is one load in progress, which several callers may await.
type flight struct {
	done     chan struct{}
	waiters  int // besides the one who does it
	manifest Manifest
	err      error // of the bundle; one of the caller's own is retried by the others
	retry    bool
}

// OpenCache opens the cache in dir, which it creates. maxBytes bounds what is kept;
// 0 means DefaultCacheBytes. One cache at a time may be open on a folder.
func OpenCache(dir string, maxBytes int64) (*Cache, error) {
	if maxBytes <= 0 {
		maxBytes = DefaultCacheBytes
	}
	c := &Cache{dir: dir, maxBytes: maxBytes, files: map[string]*cached{}, flights: map[string]*flight{}}
	if err := c.scan(); err != nil {
		return nil, fault.New(fault.KindOf(err), "open bundle cache", dir, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evictLocked(0)
	return c, nil
}

// scan learns what is there and removes what an interrupted fetch left.
func (c *Cache) scan() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := os.Remove(c.path(e.Name())); err != nil {
				return err
			}
		}
		if !ValidDigest(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		c.files[e.Name()] = &cached{size: info.Size(), used: info.ModTime()}
	}
	return nil
}

func (c *Cache) path(name string) string { return filepath.Join(c.dir, name) }

// Path returns the file with a bundle's code, fetched from the store if need be
// and verified now, with its manifest. The file stays until release is called, once or
// more. Errors: fault.NotFound when the fleet has no such bundle, fault.Denied
// when no trusted key signed it or the code is not what was signed, fault.Busy when it is
// larger than the whole cache, and those of ctx.
func (c *Cache) Path(ctx context.Context, digest string, store *Store) (path string, m Manifest, release func(), err error) {
	for {
		m, retry, err := c.fly(ctx, digest, store)
		if retry {
			continue
		}
		if err != nil {
			return "", Manifest{}, nil, fault.New(fault.KindOf(err), "load bundle", digest, err)
		}
		return c.path(digest), m, sync.OnceFunc(func() { c.release(digest) }), nil
	}
}

// fly loads the bundle, or awaits somebody who does so already. On success the
// caller holds a reference. retry is set when that somebody gave up.
func (c *Cache) fly(ctx context.Context, digest string, store *Store) (m Manifest, retry bool, err error) {
	if err := ctx.Err(); err != nil {
		return Manifest{}, false, context.Cause(ctx)
	}
	c.mu.Lock()
	if f := c.flights[digest]; f != nil {
		f.waiters++
		c.mu.Unlock()
		return c.await(ctx, digest, f)
	}
	f := &flight{done: make(chan struct{})}
	c.flights[digest] = f
	c.mu.Unlock()

	var size int64
	f.manifest, size, f.err = c.load(ctx, digest, store)
	f.retry = f.err != nil && ctx.Err() != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, digest)
	close(f.done)
	if f.err != nil {
		c.forgetLocked(digest)
		return Manifest{}, false, f.err
	}
	c.files[digest] = &cached{size: size, used: time.Now(), refs: c.refsLocked(digest) + 1 + f.waiters}
	c.evictLocked(0)
	return f.manifest, false, nil
}

// forgetLocked counts a file no more that a failed load has deleted.
func (c *Cache) forgetLocked(digest string) {
	if _, err := os.Lstat(c.path(digest)); errors.Is(err, fs.ErrNotExist) && c.refsLocked(digest) == 0 {
		delete(c.files, digest)
	}
}

func (c *Cache) refsLocked(digest string) int {
	if file := c.files[digest]; file != nil {
		return file.refs
	}
	return 0
}

func (c *Cache) await(ctx context.Context, digest string, f *flight) (Manifest, bool, error) {
	select {
	case <-f.done:
		return f.manifest, f.retry, f.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-f.done: // it has counted us
		if f.err == nil {
			c.releaseLocked(digest)
		}
	default:
		f.waiters--
	}
	return Manifest{}, false, context.Cause(ctx)
}

func (c *Cache) release(digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked(digest)
	c.evictLocked(0)
}

func (c *Cache) releaseLocked(digest string) {
	if file := c.files[digest]; file != nil && file.refs > 0 {
		file.refs--
		file.used = time.Now()
	}
}

// load sees to it that the bundle's file is there and right.
func (c *Cache) load(ctx context.Context, digest string, store *Store) (Manifest, int64, error) {
	m, err := store.Manifest(ctx, digest)
	if err != nil {
		return Manifest{}, 0, err
	}
	err = c.verify(ctx, m)
	if err == nil {
		now := time.Now()
		os.Chtimes(c.path(digest), now, now) // remembers the order of use; only a help
		return m, m.Size, nil
	}
	if ctx.Err() != nil {
		return Manifest{}, 0, context.Cause(ctx)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(c.path(digest)); err != nil {
			return Manifest{}, 0, err
		}
	}
	return m, m.Size, c.fetch(ctx, m, store)
}

// verify reads the whole file. Whatever is wrong with it, it is fetched again.
func (c *Cache) verify(ctx context.Context, m Manifest) error {
	path := c.path(m.Digest)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != m.Size {
		return fault.Text(fault.Denied, "use cached file", path, "it was changed")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(io.Discard, newChecked(withContext{ctx, f}, m.Digest, m.Size)); err != nil {
		return err
	}
	if info.Mode().Perm() != fileMode {
		return os.Chmod(path, fileMode)
	}
	return nil
}

const fileMode = 0o500

// fetch gets the code from the store into a file of its own, and gives that its
// name when it is closed and right.
func (c *Cache) fetch(ctx context.Context, m Manifest, store *Store) (err error) {
	if m.Size > c.maxBytes {
		return fault.Text(fault.Busy, "cache bundle", m.Digest, "it is larger than the cache").
			WithHint("give the node a larger bundle cache")
	}
	c.mu.Lock()
	c.evictLocked(m.Size)
	c.mu.Unlock()
	r, err := store.Open(ctx, m.Digest)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = io.Copy(f, newChecked(withContext{ctx, r}, m.Digest, m.Size))
	if err = errors.Join(err, f.Chmod(fileMode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path(m.Digest))
}

// withContext ends a reading at the context's end.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (w withContext) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.r.Read(p)
}

// evictLocked deletes what was not used for the longest time until need more
// bytes are within the bound, or all that is left is in use.
func (c *Cache) evictLocked(need int64) {
	total := need
	var idle []string
	for digest, file := range c.files {
		total += file.size
		if file.refs == 0 && c.flights[digest] == nil {
			idle = append(idle, digest)
		}
	}
	slices.SortFunc(idle, func(a, b string) int { return c.files[a].used.Compare(c.files[b].used) })
	for _, digest := range idle {
		if total <= c.maxBytes {
			return
		}
		if err := os.RemoveAll(c.path(digest)); err != nil {
			continue // it counts on, and is tried again next time
		}
		total -= c.files[digest].size
		delete(c.files, digest)
	}
}
