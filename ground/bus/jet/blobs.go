package jet

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// blobs is an object store.
type blobs struct {
	store jetstream.ObjectStore
}

// Blobs opens a blob store.
func (c *Conn) Blobs(ctx context.Context, spec bus.Spec) (bus.Blobs, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	var store jetstream.ObjectStore
	err := patiently(ctx, func(ctx context.Context) (err error) {
		store, err = c.openBlobs(ctx, spec)
		return err
	})
	if err != nil {
		return nil, wrong("open store", spec.Name, err)
	}
	return &blobs{store}, nil
}

func (c *Conn) openBlobs(ctx context.Context, spec bus.Spec) (jetstream.ObjectStore, error) {
	store, err := c.js.ObjectStore(ctx, spec.Name)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		store, err = c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: spec.Name, TTL: spec.MaxAge, MaxBytes: unlimited(spec.MaxBytes), Storage: jetstream.FileStorage, Replicas: c.replicas,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			store, err = c.js.ObjectStore(ctx, spec.Name)
		}
	}
	return store, err
}

// Put stores what r gives.
func (b *blobs) Put(ctx context.Context, name string, r io.Reader) error {
	source := &faithful{r: r}
	_, err := b.store.Put(ctx, jetstream.ObjectMeta{Name: name}, source)
	if source.err != nil {
		err = source.err
	}
	return wrong("store blob", name, err)
}

// faithful remembers the source's own error.
type faithful struct {
	r   io.Reader
	err error
}

func (f *faithful) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// Open returns the content.
func (b *blobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.store.Get(ctx, name)
	if err != nil {
		return nil, wrong("open blob", name, err)
	}
	return r, nil
}

// Size returns the content's length.
func (b *blobs) Size(ctx context.Context, name string) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	info, err := b.store.GetInfo(ctx, name)
	if err != nil {
		return 0, wrong("look at blob", name, err)
	}
	return int64(info.Size), nil
}

// Delete removes a blob.
func (b *blobs) Delete(ctx context.Context, name string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := b.store.Delete(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	return wrong("delete blob", name, err)
}
