package jet

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// blobs is an object store, in the form that NATS gives it.
type blobs struct {
	c     *Conn
	name  string
	s     jetstream.Stream
	store jetstream.ObjectStore
}

// Blobs opens a blob store.
func (c *Conn) Blobs(ctx context.Context, spec bus.Spec) (bus.Blobs, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	b := &blobs{c: c, name: spec.Name}
	err := patiently(ctx, func(ctx context.Context) (err error) {
		if b.store, err = c.openBlobs(ctx, spec); err == nil {
			b.s, err = c.js.Stream(ctx, "OBJ_"+spec.Name)
		}
		return notYet(err)
	})
	if err != nil {
		return nil, wrong("open store", spec.Name, err)
	}
	return b, nil
}

func (c *Conn) openBlobs(ctx context.Context, spec bus.Spec) (jetstream.ObjectStore, error) {
	// As the client makes it, but for direct gets: any server answers those, also one
	// that has not heard of the newest blobs.
	_, err := c.openOnce(ctx, jetstream.StreamConfig{
		Name: "OBJ_" + spec.Name, Subjects: []string{"$O." + spec.Name + ".C.>", "$O." + spec.Name + ".M.>"},
		MaxAge: spec.MaxAge, MaxBytes: unlimited(spec.MaxBytes), MaxMsgs: -1, Discard: jetstream.DiscardNew,
		AllowRollup: true, Duplicates: dedupWindow(spec.MaxAge),
	})
	if err != nil {
		return nil, err
	}
	return c.js.ObjectStore(ctx, spec.Name)
}

// Stat describes the content.
func (b *blobs) Stat(ctx context.Context, name string) (bus.BlobInfo, error) {
	info, err := b.info(ctx, name)
	if err != nil {
		return bus.BlobInfo{}, wrong("look at blob", name, err)
	}
	return bus.BlobInfo{Size: int64(info.Size), Time: info.ModTime}, nil
}

// Delete removes a blob.
func (b *blobs) Delete(ctx context.Context, name string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := untilLed(ctx, func() error { return b.store.Delete(ctx, name) })
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	return wrong("delete blob", name, err)
}
