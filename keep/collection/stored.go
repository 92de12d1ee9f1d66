package collection

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Bucket is the name of the key-value store in which a fleet keeps a collection.
func Bucket(name string) string { return "become_items_" + name }

// Stored keeps items in a key-value store of a bus, which it has for itself: one collection for all that open it, wherever they are.
//
// In trips to the bus, Get costs one, and Swap one, or three when it makes an item. List costs one that asks whether anything was stored since the
// last one, by anybody, and a Get for each item of its page, 16 at the same time. If something was stored, it reads the keys again, of the whole
// collection and without the values. They stay in memory, in order: the store itself has none. A deleted item leaves its key. List asks for
// the deleted ones that it comes by, too, and then not again until something is stored.
type Stored[T any] struct {
	kv bus.KV

	mu       sync.Mutex
	revision uint64   // of the store, that ids are of
	ids      []string // of all keys, in order; replaced, never changed
}

var _ Store[int] = (*Stored[int])(nil)

// NewStored returns the collection in kv.
func NewStored[T any](kv bus.KV) *Stored[T] { return &Stored[T]{kv: kv} }

// OpenStored opens a collection of a bus by its name, and makes it if it is not there.
func OpenStored[T any](ctx context.Context, b bus.Bus, name string) (*Stored[T], error) {
	kv, err := b.KV(ctx, bus.Spec{Name: Bucket(name)})
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "open collection", name, err)
	}
	return NewStored[T](kv), nil
}

// keyOf writes an id as a key: letters and digits as they are, '-' and '_' too, each other byte as = and two digits.
func keyOf(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('=')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String()
}

// idOf is the id that a key is; ok is false for a key that is none of ours.
func idOf(key string) (id string, ok bool) {
	var b strings.Builder
	for rest := key; rest != ""; {
		before, after, some := strings.Cut(rest, "=")
		b.WriteString(before)
		if !some {
			break
		}
		c, err := hex.DecodeString(after[:min(2, len(after))])
		if err != nil || len(c) != 1 {
			return "", false
		}
		b.WriteByte(c[0])
		rest = after[2:]
	}
	return b.String(), keyOf(b.String()) == key
}

func revisionOf(n uint64) string { return strconv.FormatUint(n, 10) }

// Get returns the item with that id.
func (s *Stored[T]) Get(ctx context.Context, id string) (Item[T], error) {
	if err := CheckID(id); err != nil {
		return Item[T]{}, err
	}
	e, err := s.kv.Get(ctx, keyOf(id))
	switch {
	case err == nil && len(e.Value) > 0:
		return decode[T](id, revisionOf(e.Revision), e.Value)
	case err == nil || fault.KindOf(err) == fault.NotFound:
		return Item[T]{}, fault.Text(fault.NotFound, "find", id, "there is no such item")
	}
	return Item[T]{}, fault.New(fault.KindOf(err), "find", id, err)
}

// Swap stores, replaces or deletes an item. What is deleted leaves its key with no value: the store has no conditional delete, and
// keeps a marker of each deleted key in any case.
func (s *Stored[T]) Swap(ctx context.Context, id string, value *T, revision string) (item Item[T], err error) {
	if err := checkSwap(id, value == nil, revision); err != nil {
		return item, err
	}
	var data []byte
	if value != nil {
		if data, item.Modified, err = encode(id, value); err != nil {
			return Item[T]{}, err
		}
		item.ID, item.Value = id, *value
	}
	expected, err := s.expected(ctx, id, revision)
	if err != nil {
		return Item[T]{}, err
	}
	now, err := s.kv.Swap(ctx, keyOf(id), data, expected)
	switch {
	case err == nil && value == nil:
		return Item[T]{}, nil
	case err == nil:
		item.Revision = revisionOf(now)
		return item, nil
	case fault.KindOf(err) == fault.Conflict:
		return Item[T]{}, conflict(id)
	}
	return Item[T]{}, fault.New(fault.KindOf(err), "store", id, err)
}

// expected is the revision that the key must have.
func (s *Stored[T]) expected(ctx context.Context, id, revision string) (uint64, error) {
	if revision != "" {
		n, err := strconv.ParseUint(revision, 10, 64)
		if err != nil || n == 0 {
			return 0, conflict(id) // it never was a revision
		}
		return n, nil
	}
	e, err := s.kv.Get(ctx, keyOf(id))
	switch {
	case err == nil && len(e.Value) > 0:
		return 0, conflict(id)
	case err == nil:
		return e.Revision, nil
	case fault.KindOf(err) == fault.NotFound:
		return 0, nil
	}
	return 0, fault.New(fault.KindOf(err), "store", id, err)
}
