package jet

import (
	"context"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/fault"
)

// Open returns the content.
func (b *blobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, wrong("open blob", name, err)
	}
	r, err := b.store.Get(steps{ctx}, name)
	if err != nil {
		return nil, wrong("open blob", name, err)
	}
	return &content{r, name}, nil
}

// steps is a context that bounds each step of a long read, not the whole: the
// client looks at the deadline again before each.
type steps struct{ context.Context }

func (s steps) Deadline() (time.Time, bool) {
	step := time.Now().Add(callTimeout)
	if d, ok := s.Context.Deadline(); ok && d.Before(step) {
		return d, true
	}
	return step, true
}

// content is an open blob.
type content struct {
	r    jetstream.ObjectResult
	name string
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n == 0 && err == nil && len(p) > 0 { // the client's word for a step that took too long
		err = nats.ErrTimeout
	}
	if err == io.EOF || err == nil {
		return n, err
	}
	return n, fault.New(readKind(err), "read blob", c.name, err)
}

func readKind(err error) fault.Kind {
	if err == jetstream.ErrDigestMismatch {
		return fault.Internal
	}
	return kindOf(err)
}

// Close ends the reading.
func (c *content) Close() error { return c.r.Close() }
