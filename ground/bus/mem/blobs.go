package mem

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// blobs keeps content whole: it is read to its end before it is stored.
type blobs struct {
	spec bus.Spec
	mu   sync.Mutex
	all  map[string]blob
}

type blob struct {
	data []byte
	at   time.Time
}

// blobsConn is a connection's view of a store.
type blobsConn struct {
	*blobs
	c *conn
}

// expireLocked drops what is too old, and returns how many bytes are left.
func (b *blobs) expireLocked() (size int64) {
	for name, v := range b.all {
		if b.spec.MaxAge > 0 && time.Since(v.at) > b.spec.MaxAge {
			delete(b.all, name)
			continue
		}
		size += int64(len(v.data))
	}
	return size
}

func (b *blobs) get(name string) (blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expireLocked()
	v, ok := b.all[name]
	if !ok {
		return v, fault.Text(fault.NotFound, "open blob", name, "there is none")
	}
	return v, nil
}

// Put stores what r gives.
func (b *blobsConn) Put(ctx context.Context, name string, r io.Reader) error {
	if err := b.c.check(ctx, "store blob", name); err != nil {
		return err
	}
	if name == "" {
		return fault.Text(fault.Invalid, "store blob", name, "it has no name")
	}
	r = &patient{ctx, r}
	if b.spec.MaxBytes > 0 {
		r = io.LimitReader(r, b.spec.MaxBytes+1)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fault.New(fault.KindOf(err), "store blob", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	total := b.expireLocked() + int64(len(data)) - int64(len(b.all[name].data))
	if b.spec.MaxBytes > 0 && total > b.spec.MaxBytes {
		return fault.Text(fault.Busy, "store blob", name, "the store is full")
	}
	b.all[name] = blob{data, time.Now()}
	return nil
}

// patient reads until its context ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// Open returns the content.
func (b *blobsConn) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := b.c.check(ctx, "open blob", name); err != nil {
		return nil, err
	}
	v, err := b.get(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(v.data)), nil
}

// Stat describes the content.
func (b *blobsConn) Stat(ctx context.Context, name string) (bus.BlobInfo, error) {
	if err := b.c.check(ctx, "look at blob", name); err != nil {
		return bus.BlobInfo{}, err
	}
	v, err := b.get(name)
	return bus.BlobInfo{Size: int64(len(v.data)), Time: v.at}, err
}

// Delete removes a blob.
func (b *blobsConn) Delete(ctx context.Context, name string) error {
	if err := b.c.check(ctx, "delete blob", name); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, name)
	return nil
}
