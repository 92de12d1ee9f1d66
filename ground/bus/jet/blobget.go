package jet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Open returns the content.
//
// Why not the client's own Get? It reads through a consumer, which the server has to place
// first: in a cluster that has just lost a server perhaps there, and then nothing comes.
// Asked for by number, any server that has a chunk answers.
func (b *blobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, wrong("open blob", name, err)
	}
	for {
		info, err := b.info(ctx, name)
		if err == nil {
			return &content{ctx: ctx, b: b, info: info, sum: sha256.New()}, nil
		}
		if !errors.Is(err, jetstream.ErrObjectNotFound) || !b.leaderHas(ctx, name) {
			return nil, wrong("open blob", name, err)
		}
		if err := moment(ctx); err != nil { // any server of a cluster answers, and this one is behind
			return nil, wrong("open blob", name, err)
		}
	}
}

func (b *blobs) info(ctx context.Context, name string) (*jetstream.ObjectInfo, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return b.store.GetInfo(ctx, name)
}

// moment waits a little, unless ctx ends.
func moment(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leaderHas asks the one server of a cluster that knows.
func (b *blobs) leaderHas(ctx context.Context, name string) bool {
	if !b.replicated() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ask, err := json.Marshal(map[string]string{"last_by_subj": b.description(name)})
	if err != nil {
		return false
	}
	m, err := b.c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.OBJ_"+b.name, ask)
	if err != nil {
		return true // nobody knows yet: look again
	}
	var answer struct {
		Error   json.RawMessage `json:"error"`
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	var info jetstream.ObjectInfo
	return json.Unmarshal(m.Data, &answer) == nil && answer.Error == nil && json.Unmarshal(answer.Message.Data, &info) == nil && !info.Deleted
}

func (b *blobs) replicated() bool { return b.s.CachedInfo().Config.Replicas > 1 }

// content is an open blob.
type content struct {
	ctx  context.Context
	b    *blobs
	info *jetstream.ObjectInfo
	sum  hash.Hash
	next uint64   // number to look for the next chunk from
	got  uint32   // chunks
	here [][]byte // chunks, the first perhaps read in part
	err  error
}

// Read reads.
func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.err == nil && len(c.here) == 0 {
		c.err = c.more()
	}
	if len(c.here) == 0 {
		return 0, c.err
	}
	n := copy(p, c.here[0])
	if c.here[0] = c.here[0][n:]; len(c.here[0]) == 0 {
		c.here = c.here[1:]
	}
	return n, nil
}

// more fetches chunks; io.EOF after the last, if all together are what was stored.
func (c *content) more() error {
	if c.got == c.info.Chunks {
		if c.info.Digest != jetstream.GetObjectDigestValue(c.sum) {
			return fault.New(fault.Internal, "read blob", c.info.Name, jetstream.ErrDigestMismatch)
		}
		return io.EOF
	}
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	for {
		err := c.fetch(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgNotFound):
			if !c.b.replicated() { // in a cluster this server may be behind
				return fault.New(fault.NotFound, "read blob", c.info.Name, err)
			}
		case kindOf(err) != fault.Lost && !errors.Is(err, context.DeadlineExceeded):
			return wrong("read blob", c.info.Name, err)
		}
		if moment(ctx) != nil {
			return wrong("read blob", c.info.Name, err)
		}
	}
}

// fetch asks for several chunks at once.
func (c *content) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	n := min(chunksAhead, int(c.info.Chunks-c.got))
	answers := make([]*jetstream.RawStreamMsg, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			answers[i], errs[i] = c.b.s.GetMsg(ctx, max(1, c.next)+uint64(i), jetstream.WithGetMsgSubject(c.b.chunks(c.info)))
		})
	}
	wg.Wait()
	for i, m := range answers {
		if errs[i] != nil && len(c.here) > 0 {
			return nil
		}
		if errs[i] != nil {
			return errs[i]
		}
		if m.Sequence < c.next { // others' chunks lie between: this one we have
			continue
		}
		c.next = m.Sequence + 1
		c.got++
		c.sum.Write(m.Data)
		if len(m.Data) > 0 {
			c.here = append(c.here, m.Data)
		}
	}
	return nil
}

// Close ends the reading.
func (c *content) Close() error {
	c.err, c.here = io.ErrClosedPipe, nil
	return nil
}
