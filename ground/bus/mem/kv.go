package mem

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// kv is a key-value store.
type kv struct {
	spec     bus.Spec
	mu       sync.Mutex
	revision uint64
	bytes    int64 // of all values
	entries  map[string]kvEntry
	watches  map[*watch]struct{}
}

type kvEntry struct {
	value    []byte
	revision uint64
	at       time.Time
}

func newKV(spec bus.Spec) *kv {
	return &kv{spec: spec, entries: map[string]kvEntry{}, watches: map[*watch]struct{}{}}
}

// kvConn is a connection's view of a store.
type kvConn struct {
	*kv
	c *conn
}

func (k *kvConn) check(ctx context.Context, op, key string) error {
	if err := k.c.check(ctx, op, key); err != nil {
		return err
	}
	if !bus.ValidKey(key) {
		return fault.Text(fault.Invalid, op, fmt.Sprintf("%q", key), "a key is letters, digits and -_=./")
	}
	return nil
}

func (k *kv) entryLocked(key string) (kvEntry, bool) {
	e, ok := k.entries[key]
	if ok && k.spec.MaxAge > 0 && time.Since(e.at) > k.spec.MaxAge {
		k.dropLocked(key)
		return kvEntry{}, false
	}
	return e, ok
}

func (k *kv) dropLocked(key string) {
	k.bytes -= int64(len(k.entries[key].value))
	delete(k.entries, key)
}

// Get returns a key's value.
func (k *kvConn) Get(ctx context.Context, key string) (bus.Entry, error) {
	if err := k.check(ctx, "get key", key); err != nil {
		return bus.Entry{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.entryLocked(key)
	if !ok {
		return bus.Entry{}, fault.Text(fault.NotFound, "get key", key, "there is none")
	}
	return bus.Entry{Key: key, Value: bytes.Clone(e.value), Revision: e.revision}, nil
}

// Put stores a value.
func (k *kvConn) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := k.check(ctx, "store key", key); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.setLocked(key, value)
}

// Swap stores a value if the key has not changed.
func (k *kvConn) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := k.check(ctx, "swap key", key); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, _ := k.entryLocked(key)
	if e.revision != revision && len(value) <= bus.MaxMessage {
		return 0, fault.Text(fault.Conflict, "swap key", key, fmt.Sprintf("it is at revision %d, not %d", e.revision, revision))
	}
	return k.setLocked(key, value)
}

func (k *kv) setLocked(key string, value []byte) (uint64, error) {
	if err := sized("store key", key, value); err != nil {
		return 0, err
	}
	old, _ := k.entryLocked(key)
	more := int64(len(value) - len(old.value))
	if more > 0 && k.fullLocked(more) {
		return 0, fault.Text(fault.Busy, "store key", key, "the store is full")
	}
	k.bytes += more
	k.revision++
	k.entries[key] = kvEntry{bytes.Clone(value), k.revision, time.Now()}
	k.tellLocked(bus.Entry{Key: key, Value: value, Revision: k.revision})
	return k.revision, nil
}

// fullLocked reports whether there is no room for so many bytes more.
func (k *kv) fullLocked(more int64) bool {
	if k.spec.MaxBytes <= 0 || k.bytes+more <= k.spec.MaxBytes {
		return false
	}
	for key := range k.entries { // what is too old makes room
		k.entryLocked(key)
	}
	return k.bytes+more > k.spec.MaxBytes
}

// Delete removes a key.
func (k *kvConn) Delete(ctx context.Context, key string) error {
	if err := k.check(ctx, "delete key", key); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.entryLocked(key); !ok {
		return nil
	}
	k.dropLocked(key)
	k.revision++
	k.tellLocked(bus.Entry{Key: key, Revision: k.revision, Deleted: true})
	return nil
}

// Keys returns the keys that are there.
func (k *kvConn) Keys(ctx context.Context, since uint64) (keys []string, revision uint64, err error) {
	if err := k.c.check(ctx, "list keys", k.spec.Name); err != nil {
		return nil, 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revision == since {
		return nil, since, nil
	}
	for key := range k.entries {
		if _, ok := k.entryLocked(key); ok {
			keys = append(keys, key)
		}
	}
	return keys, k.revision, nil
}

func (k *kv) tellLocked(e bus.Entry) {
	value := e.Value
	for w := range k.watches {
		if strings.HasPrefix(e.Key, w.prefix) {
			e.Value = bytes.Clone(value)
			w.push(e)
		}
	}
}

// watch hands changes to its function, one at a time.
type watch struct {
	prefix string
	mu     sync.Mutex
	more   sync.Cond
	queue  []bus.Entry
	ended  bool
}

func (w *watch) push(e bus.Entry) {
	w.mu.Lock()
	w.queue = append(w.queue, e)
	w.more.Signal()
	w.mu.Unlock()
}

// Watch calls f with what is there and with every change.
func (k *kvConn) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	if err := k.c.check(ctx, "watch", prefix); err != nil {
		return err
	}
	w := &watch{prefix: prefix}
	w.more.L = &w.mu
	k.begin(w)
	err := k.c.begin("watch",
		func() {
			select {
			case <-k.c.end:
			case <-ctx.Done():
			}
			k.finish(w)
		},
		func() { w.run(ctx, f) })
	if err != nil {
		k.finish(w)
	}
	return err
}

// begin queues what is there, the mark, and from now on every change.
func (k *kv) begin(w *watch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.entries {
		if e, ok := k.entryLocked(key); ok && strings.HasPrefix(key, w.prefix) {
			w.queue = append(w.queue, bus.Entry{Key: key, Value: bytes.Clone(e.value), Revision: e.revision})
		}
	}
	slices.SortFunc(w.queue, func(a, b bus.Entry) int { return cmp.Compare(a.Revision, b.Revision) })
	w.queue = append(w.queue, bus.Entry{})
	k.watches[w] = struct{}{}
}

func (k *kv) finish(w *watch) {
	k.mu.Lock()
	delete(k.watches, w)
	k.mu.Unlock()
	w.mu.Lock()
	w.ended = true
	w.queue = nil
	w.more.Broadcast()
	w.mu.Unlock()
}

func (w *watch) run(ctx context.Context, f func(bus.Entry)) {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.ended {
			w.more.Wait()
		}
		if w.ended || ctx.Err() != nil {
			w.mu.Unlock()
			return
		}
		e := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		f(e)
	}
}
