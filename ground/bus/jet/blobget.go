package jet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Open returns the content.
//
// Why not the client's own Get? It believes any server of a cluster, one that
// lacks the newest blobs as well, and bounds the whole read by one short time.
func (b *blobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	info, err := b.info(ctx, name)
	if err != nil {
		return nil, wrong("open blob", name, err)
	}
	c := &content{b: b, ctx: ctx, info: info, left: info.Size, sum: sha256.New(), from: 1}
	if info.Chunks > 1 {
		c.near, _ = b.direct(b.chunks(info)) // else the leader is asked
	}
	return c, nil
}

// info returns the description of a blob, as the leader has it.
func (b *blobs) info(ctx context.Context, name string) (*jetstream.ObjectInfo, error) {
	info, err := b.described(ctx, name)
	if err == nil && info.Deleted {
		err = jetstream.ErrObjectNotFound
	}
	return info, err
}

// described does the same with those that are deleted, too.
func (b *blobs) described(ctx context.Context, name string) (*jetstream.ObjectInfo, error) {
	var m *jetstream.RawStreamMsg
	err := patiently(ctx, func(ctx context.Context) (err error) {
		m, err = b.c.get(ctx, b.stream, wanted{Last: b.description(name)})
		return notYet(err)
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = jetstream.ErrObjectNotFound
	}
	if err != nil {
		return nil, err
	}
	info := &jetstream.ObjectInfo{}
	if json.Unmarshal(m.Data, info) != nil || info.NUID == "" {
		return nil, jetstream.ErrBadObjectMeta
	}
	info.ModTime = m.Time
	return info, nil
}

// content is an open blob. It asks for a few chunks at a time.
type content struct {
	b     *blobs
	ctx   context.Context
	info  *jetstream.ObjectInfo
	near  *direct // nil: the leader is asked
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
		c.near.close()
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
	some, err := c.some()
	if err != nil {
		return err
	}
	if len(some) == 0 {
		return c.damaged("a part of it is gone")
	}
	for _, one := range some {
		if uint64(len(one.data)) > c.left {
			return c.damaged("it is longer than was stored")
		}
		c.left -= uint64(len(one.data))
		c.ready = append(c.ready, one.data)
		c.from = one.seq + 1
	}
	return nil
}

// some asks for the next chunks; the leader, if no other has them.
func (c *content) some() ([]chunk, error) {
	if c.near != nil {
		if some, err := c.near.read(c.ctx, c.from, chunksAtOnce); err == nil && len(some) > 0 {
			return some, nil
		}
		c.near.close()
		c.near = nil
	}
	chunks := &stream{c: c.b.c, name: "$O." + c.b.name, s: c.b.s}
	records, err := chunks.read(c.ctx, c.b.chunks(c.info), c.from, chunksAtOnce)
	some := make([]chunk, len(records))
	for i, r := range records {
		some[i] = chunk{r.Seq, r.Data}
	}
	return some, err
}

func (c *content) damaged(how string) error {
	return fault.Text(fault.Internal, "read blob", c.info.Name, how)
}

// Close ends the reading.
func (c *content) Close() error {
	c.near.close()
	c.err = fault.Text(fault.Invalid, "read blob", c.info.Name, "it is closed")
	c.chunk, c.ready = nil, nil
	return nil
}
