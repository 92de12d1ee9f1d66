package jet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Open returns the content.
//
// Why not the client's own Get? It reads from any server of a cluster, one that
// lacks the newest chunks as well, and bounds the whole read by one short time.
func (b *blobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	info, err := b.info(ctx, name)
	if err != nil {
		return nil, wrong("open blob", name, err)
	}
	return &content{b: b, ctx: ctx, info: info, left: info.Size, sum: sha256.New(), from: 1}, nil
}

// info returns the description, as the leader has it.
func (b *blobs) info(ctx context.Context, name string) (info *jetstream.ObjectInfo, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err = patiently(ctx, func(ctx context.Context) error {
		info, err = b.store.GetInfo(ctx, name)
		return notYet(err)
	})
	return info, err
}

// content is an open blob. It asks the leader for a few chunks at a time.
type content struct {
	b     *blobs
	ctx   context.Context
	info  *jetstream.ObjectInfo
	chunk []byte
	ready [][]byte // chunks that follow
	from  uint64   // number of the next record to look at
	left  uint64   // bytes that are still to be fetched
	sum   hash.Hash
	err   error
}

// chunksAtOnce is how many chunks are fetched together.
const chunksAtOnce = 8

// Read hands out what was fetched.
func (c *content) Read(p []byte) (int, error) {
	for len(c.chunk) == 0 && c.err == nil {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	n := copy(p, c.chunk)
	c.chunk = c.chunk[n:]
	return n, nil
}

// next makes another chunk ready, or says why there is none.
func (c *content) next() error {
	if len(c.ready) == 0 && c.left > 0 {
		if err := c.fetch(); err != nil {
			return err
		}
	}
	if len(c.ready) > 0 {
		c.chunk, c.ready = c.ready[0], c.ready[1:]
		c.sum.Write(c.chunk)
		return nil
	}
	want, err := jetstream.DecodeObjectDigest(c.info.Digest)
	if err != nil || !bytes.Equal(c.sum.Sum(nil), want) {
		return c.damaged("it is not what was stored")
	}
	return io.EOF
}

func (c *content) fetch() error {
	chunks := &stream{c: c.b.c, name: "$O." + c.b.name, s: c.b.s}
	records, err := chunks.read(c.ctx, c.b.chunks(c.info), c.from, chunksAtOnce)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return c.damaged("a part of it is gone")
	}
	for _, r := range records {
		if uint64(len(r.Data)) > c.left {
			return c.damaged("it is longer than was stored")
		}
		c.left -= uint64(len(r.Data))
		c.ready = append(c.ready, r.Data)
		c.from = r.Seq + 1
	}
	return nil
}

func (c *content) damaged(how string) error {
	return fault.Text(fault.Internal, "read blob", c.info.Name, how)
}

// Close ends the reading.
func (c *content) Close() error {
	c.err = fault.Text(fault.Invalid, "read blob", c.info.Name, "it is closed")
	c.chunk, c.ready = nil, nil
	return nil
}
