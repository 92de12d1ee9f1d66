package jet

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Intake opens or closes the queues and blob stores named (not the logs): a
// closed one keeps what it has and refuses more with fault.Busy. It needs the right to
// administer them.
func (c *Conn) Intake(ctx context.Context, open bool, queues, blobs []string) error {
	names := append([]string(nil), queues...)
	for _, b := range blobs {
		names = append(names, "OBJ_"+b)
	}
	for _, name := range names {
		if err := c.intake(ctx, open, name); err != nil {
			return wrong("bound store", name, err)
		}
	}
	return nil
}

func (c *Conn) intake(ctx context.Context, open bool, name string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := c.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	config := s.CachedInfo().Config
	most := int64(1) // a stream that discards what is new keeps all that is old
	if open {
		most = -1
	}
	if config.MaxBytes == most || config.Discard != jetstream.DiscardNew {
		return nil
	}
	config.MaxBytes = most
	_, err = c.js.UpdateStream(ctx, config)
	return err
}
