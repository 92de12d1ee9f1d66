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
	c      *Conn
	name   string
	stream string // where they are kept
	s      jetstream.Stream
}

// Blobs opens a blob store.
func (c *Conn) Blobs(ctx context.Context, spec bus.Spec) (bus.Blobs, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	b := &blobs{c: c, name: spec.Name, stream: "OBJ_" + spec.Name}
	// As NATS's client makes it, which finds its way in it (ADR-20).
	s, err := c.open(ctx, jetstream.StreamConfig{
		Name: b.stream, Subjects: []string{"$O." + spec.Name + ".C.>", "$O." + spec.Name + ".M.>"},
		MaxAge: spec.MaxAge, MaxBytes: unlimited(spec.MaxBytes), MaxMsgs: -1, Discard: jetstream.DiscardNew,
		AllowRollup: true, AllowDirect: true, Duplicates: dedupWindow(spec.MaxAge),
	})
	if err != nil {
		return nil, wrong("open store", spec.Name, err)
	}
	b.s = s
	return b, nil
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
	err := b.delete(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	return wrong("delete blob", name, err)
}

// delete marks a blob as deleted and removes its chunks, also when only those of one that is marked are left.
func (b *blobs) delete(ctx context.Context, name string) error {
	info, err := b.described(ctx, name)
	if err != nil {
		return err
	}
	if !info.Deleted {
		mark := &jetstream.ObjectInfo{Bucket: b.name, NUID: info.NUID, Deleted: true}
		mark.Name = name
		old, err := b.putInfo(ctx, mark)
		if err != nil {
			return err
		}
		if old != nil && old.NUID != info.NUID { // stored meanwhile
			b.purge(old)
		}
	}
	return b.s.Purge(ctx, jetstream.WithPurgeSubject(b.chunks(info)))
}
