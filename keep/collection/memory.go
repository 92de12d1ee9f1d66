package collection

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Memory keeps items in this process. The zero value is empty and ready; do not copy it.
type Memory[T any] struct {
	// MaxBytes is how much the values may take, as JSON, with their ids. Default 256 MiB.
	MaxBytes int64

	mu    sync.Mutex
	items map[string]stored
	ids   []string // in order
	bytes int64
	last  uint64 // the last revision
}

type stored struct {
	data     []byte
	revision string
}

var _ Store[int] = (*Memory[int])(nil)

// Get returns the item with that id.
func (m *Memory[T]) Get(_ context.Context, id string) (Item[T], error) {
	if err := CheckID(id); err != nil {
		return Item[T]{}, err
	}
	m.mu.Lock()
	s, ok := m.items[id]
	m.mu.Unlock()
	if !ok {
		return Item[T]{}, fault.Text(fault.NotFound, "find", id, "there is no such item")
	}
	return decode[T](id, s.revision, s.data)
}

// Swap stores, replaces or deletes an item.
func (m *Memory[T]) Swap(_ context.Context, id string, value *T, revision string) (Item[T], error) {
	if err := checkSwap(id, value == nil, revision); err != nil {
		return Item[T]{}, err
	}
	var data []byte
	var at time.Time
	if value != nil {
		var err error
		if data, at, err = encode(id, value); err != nil {
			return Item[T]{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.items[id]
	if old.revision != revision {
		return Item[T]{}, conflict(id)
	}
	if value == nil {
		m.deleteLocked(id)
		return Item[T]{}, nil
	}
	if err := m.growLocked(id, int64(len(data)-len(old.data))); err != nil {
		return Item[T]{}, err
	}
	now := m.putLocked(id, data)
	return Item[T]{ID: id, Value: *value, Revision: now, Modified: at}, nil
}

// overhead is what an item takes beside its value and its id.
const overhead = 100

// growLocked makes room.
func (m *Memory[T]) growLocked(id string, by int64) error {
	most := m.MaxBytes
	if most <= 0 {
		most = 256 << 20
	}
	if _, ok := m.items[id]; !ok {
		by += int64(len(id)) + overhead
	}
	if by > 0 && m.bytes+by > most {
		return fault.Text(fault.Busy, "store", id, "the store is full")
	}
	m.bytes += by
	return nil
}

// putLocked stores and returns the revision. Revisions begin with the time, so that one from before this process began is no
// revision of it.
func (m *Memory[T]) putLocked(id string, data []byte) string {
	if m.items == nil {
		m.items = map[string]stored{}
		m.last = uint64(time.Now().UnixNano())
	}
	m.last++
	if i, ok := slices.BinarySearch(m.ids, id); !ok {
		m.ids = slices.Insert(m.ids, i, id)
	}
	s := stored{data, strconv.FormatUint(m.last, 36)}
	m.items[id] = s
	return s.revision
}

func (m *Memory[T]) deleteLocked(id string) {
	m.bytes -= int64(len(m.items[id].data)+len(id)) + overhead
	delete(m.items, id)
	i, _ := slices.BinarySearch(m.ids, id)
	m.ids = slices.Delete(m.ids, i, i+1)
}

// List returns items in the order of their ids.
func (m *Memory[T]) List(_ context.Context, after string, limit int) ([]Item[T], error) {
	var ids []string
	var found []stored
	m.mu.Lock()
	i, ok := slices.BinarySearch(m.ids, after)
	if ok {
		i++
	}
	for ; i < len(m.ids) && len(ids) < limit; i++ {
		ids = append(ids, m.ids[i])
		found = append(found, m.items[m.ids[i]])
	}
	m.mu.Unlock()
	all := make([]Item[T], len(ids))
	for i, s := range found {
		var err error
		if all[i], err = decode[T](ids[i], s.revision, s.data); err != nil {
			return nil, err
		}
	}
	return all, nil
}
