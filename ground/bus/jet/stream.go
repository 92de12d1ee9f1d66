package jet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// dedupFor is how long a queue remembers the ids of its entries.
const dedupFor = 2 * time.Minute

// storeAwayFor is how long a record waits for a store that is away.
const storeAwayFor = 10 * time.Second

// stream is a stream of records, a queue's or a log's.
type stream struct {
	c    *Conn
	name string
	s    jetstream.Stream
}

// patiently runs f until it is answered, or ctx ends.
func patiently(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for {
		try, stop := context.WithTimeout(ctx, openTimeout)
		err := f(try)
		stop()
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) || !errors.Is(err, context.DeadlineExceeded) && kindOf(err) != fault.Lost {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// open finds a stream, or makes it.
func (c *Conn) open(ctx context.Context, config jetstream.StreamConfig) (s jetstream.Stream, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		s, err = c.openOnce(ctx, config)
		return err
	})
	if err != nil {
		return nil, wrong("open store", config.Name, err)
	}
	return s, nil
}

func (c *Conn) openOnce(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := c.js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config.Replicas = c.replicas
		config.Storage = jetstream.FileStorage
		s, err = c.js.CreateStream(ctx, config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			s, err = c.js.Stream(ctx, config.Name)
		}
	}
	return s, notYet(err)
}

// notYet makes the absence of a store that was made a moment ago, and that not
// every server of a cluster knows of, an error to be patient with.
func notYet(err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: the store is being made", nats.ErrDisconnected)
	}
	return err
}

func (c *Conn) openRecords(ctx context.Context, spec bus.Spec, config jetstream.StreamConfig) (*stream, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	config.Name = spec.Name
	config.Subjects = []string{spec.Name + ".>"}
	config.MaxAge = spec.MaxAge
	config.MaxBytes = unlimited(spec.MaxBytes)
	config.MaxMsgs = unlimited(spec.MaxRecords)
	s, err := c.open(ctx, config)
	if err != nil {
		return nil, err
	}
	return &stream{c, spec.Name, s}, nil
}

func unlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// Remove deletes a record.
func (st *stream) Remove(ctx context.Context, seq uint64) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := st.s.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	// The server's reasons are many, and the client passes on only their text.
	if _, look := st.c.get(ctx, st.name, wanted{Seq: seq}); errors.Is(look, jetstream.ErrMsgNotFound) {
		return fault.Text(fault.NotFound, "remove record", fmt.Sprint(seq), "there is none")
	}
	return wrong("remove record", fmt.Sprint(seq), err)
}
