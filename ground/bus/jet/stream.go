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
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && kindOf(err) != fault.Lost {
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
	return s, err
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

// put publishes into the stream until it is acknowledged or refused.
func (st *stream) put(ctx context.Context, subject string, data []byte, opts ...jetstream.PublishOpt) (uint64, error) {
	if !bus.ValidSubject(subject, false) || !bus.Match(st.name+".>", subject) {
		return 0, fault.Text(fault.Invalid, "store record", subject, "the subject is not one of "+st.name)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	for began := time.Now(); ; {
		ack, err := st.c.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, opts...)
		if err == nil {
			return ack.Sequence, nil
		}
		if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
			return 0, wrong("store record", subject, err)
		}
		if time.Since(began) > storeAwayFor {
			return 0, fault.New(fault.Lost, "store record", subject, err).WithHint("the bus stores nothing at the moment: its disk is full, or it is still starting")
		}
		select { // the server is starting, or a cluster is choosing its leader
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, fault.New(fault.Lost, "store record", subject, err)
		}
	}
}

// read returns records matching filter from a number on.
func (st *stream) read(ctx context.Context, filter string, from uint64, most int) ([]bus.Record, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []bus.Record
	for len(out) < most {
		m, err := st.s.GetMsg(ctx, max(1, from), jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, wrong("read", filter, err)
		}
		out = append(out, bus.Record{Subject: m.Subject, Seq: m.Sequence, Time: m.Time, Data: m.Data})
		from = m.Sequence + 1
	}
	return out, nil
}

// Remove deletes a record.
func (st *stream) Remove(ctx context.Context, seq uint64) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := st.s.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && (api.ErrorCode == 10043 || api.ErrorCode == 10037 || api.ErrorCode == 10057) {
		return fault.Text(fault.NotFound, "remove record", fmt.Sprint(seq), "there is none")
	}
	return wrong("remove record", fmt.Sprint(seq), err)
}

// log is a stream with limits.
type log struct{ *stream }

// Log opens a log.
func (c *Conn) Log(ctx context.Context, spec bus.Spec) (bus.Log, error) {
	st, err := c.openRecords(ctx, spec, jetstream.StreamConfig{Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld})
	if err != nil {
		return nil, err
	}
	return log{st}, nil
}

// Append keeps a record.
func (l log) Append(ctx context.Context, subject string, data []byte) (uint64, error) {
	return l.put(ctx, subject, data)
}

// Read returns records in order.
func (l log) Read(ctx context.Context, filter string, from uint64, most int) ([]bus.Record, error) {
	return l.read(ctx, filter, from, most)
}

// Tail returns the newest records. It looks at a window at the end, and at
// larger ones until enough match.
func (l log) Tail(ctx context.Context, filter string, most int) ([]bus.Record, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	info, err := l.s.Info(ctx)
	if err != nil {
		return nil, wrong("read", filter, err)
	}
	for window := uint64(2 * most); ; window *= 4 {
		from := info.State.FirstSeq
		if info.State.LastSeq > window && info.State.LastSeq-window+1 > from {
			from = info.State.LastSeq - window + 1
		}
		all, err := l.read(ctx, filter, from, int(window))
		if err != nil {
			return nil, err
		}
		if len(all) >= most || from <= info.State.FirstSeq {
			return all[len(all)-min(most, len(all)):], nil
		}
	}
}
