package rest

import (
	"context"
	"reflect"
	"time"

	"github.com/universal-server/become/keep/collection"
)

// Page is a page of a collection, as clients see it.
type Page[T any] struct {
	Items []Entry[T] `doc:"in the order of their ids"`
	Next  *string    `doc:"the cursor of the next page; there is none after the last one"`
}

// Entry is an item in a page.
type Entry[T any] struct {
	ID       string
	ETag     string `json:"etag" doc:"for If-Match"`
	Modified *time.Time
	Value    T
}

// item is a collection.Item of any type.
type item struct {
	id, revision string
	modified     time.Time
	value        reflect.Value
}

// store is a collection.Store of any type: what is typed ends here.
type store interface {
	get(ctx context.Context, id string) (*item, error)
	swap(ctx context.Context, id string, value reflect.Value, revision string) (*item, error)
	list(ctx context.Context, after string, limit int) ([]item, error)
	// page is a Page; etag says an item's.
	page(all []item, next string, etag func(item) string) reflect.Value
}

type typed[T any] struct{ s collection.Store[T] }

func untyped[T any](i collection.Item[T]) *item {
	return &item{i.ID, i.Revision, i.Modified, reflect.ValueOf(&i.Value).Elem()}
}

func (t typed[T]) get(ctx context.Context, id string) (*item, error) {
	i, err := t.s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return untyped(i), nil
}

// swap deletes if the value is not valid; then it returns no item.
func (t typed[T]) swap(ctx context.Context, id string, value reflect.Value, revision string) (*item, error) {
	if !value.IsValid() {
		_, err := t.s.Swap(ctx, id, nil, revision)
		return nil, err
	}
	i, err := t.s.Swap(ctx, id, value.Addr().Interface().(*T), revision)
	if err != nil {
		return nil, err
	}
	return untyped(i), nil
}

func (t typed[T]) list(ctx context.Context, after string, limit int) ([]item, error) {
	found, err := t.s.List(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]item, len(found))
	for i, one := range found {
		all[i] = *untyped(one)
	}
	return all, nil
}

func (t typed[T]) page(all []item, next string, etag func(item) string) reflect.Value {
	p := Page[T]{Items: make([]Entry[T], len(all))}
	for i, one := range all {
		p.Items[i] = Entry[T]{ID: one.id, ETag: etag(one), Value: one.value.Interface().(T)}
		if !one.modified.IsZero() {
			p.Items[i].Modified = &one.modified
		}
	}
	if next != "" {
		p.Next = &next
	}
	return reflect.ValueOf(&p).Elem()
}
