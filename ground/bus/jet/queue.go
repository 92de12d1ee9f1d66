package jet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// queue is a work-queue stream.
type queue struct{ *stream }

// Queue opens a queue.
func (c *Conn) Queue(ctx context.Context, spec bus.Spec) (bus.Queue, error) {
	st, err := c.openRecords(ctx, spec, jetstream.StreamConfig{
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Duplicates: dedupWindow(spec.MaxAge),
	})
	if err != nil {
		return nil, err
	}
	return queue{st}, nil
}

// Put keeps an entry.
func (q queue) Put(ctx context.Context, subject string, data []byte, id string, header ...map[string]string) (uint64, error) {
	words, err := bus.OneHeader(header)
	if err != nil {
		return 0, fault.New(fault.Invalid, "store record", subject, err)
	}
	return q.put(ctx, bus.Message{Subject: subject, Data: data, Header: words}, id)
}

// Counts counts entries per subject.
func (q queue) Counts(ctx context.Context, filter string) (map[string]uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var info *jetstream.StreamInfo
	err := patiently(ctx, func(ctx context.Context) (err error) {
		info, err = q.s.Info(ctx, jetstream.WithSubjectFilter(filter))
		return notYet(err)
	})
	if err != nil {
		return nil, wrong("count", filter, err)
	}
	if info.State.Subjects == nil {
		return map[string]uint64{}, nil
	}
	return info.State.Subjects, nil
}

// Peek returns entries without taking them.
func (q queue) Peek(ctx context.Context, filter string, from uint64, most int) ([]bus.Record, error) {
	return q.read(ctx, filter, from, most)
}

// GiveBack ends a lease.
func (q queue) GiveBack(token string) error {
	if !bus.ValidSubject(token, false) || !strings.HasPrefix(token, "$JS.ACK.") || !strings.Contains(token, "."+q.name+".") {
		return fault.Text(fault.Invalid, "give back", "", "that is no lease of "+q.name)
	}
	return wrong("give back", q.name, q.c.nc.Publish(token, []byte("-NAK")))
}

// ConsumerName returns the name of the consumer of a filter.
func ConsumerName(filter string) string {
	sum := sha256.Sum256([]byte(filter))
	return "c_" + hex.EncodeToString(sum[:10])
}

// maxAckPending is how many entries of one consumer may be on lease.
const maxAckPending = 20_000

// Consumer returns the shared consumer of a filter.
func (q queue) Consumer(ctx context.Context, filter string, lease time.Duration) (bus.Consumer, error) {
	if !bus.ValidSubject(filter, true) || !bus.Overlap(filter, q.name+".>") {
		return nil, fault.Text(fault.Invalid, "open consumer of", filter, "it is no filter of "+q.name)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	name := ConsumerName(filter)
	var made jetstream.Consumer
	err := patiently(ctx, func(ctx context.Context) (err error) {
		made, err = q.s.Consumer(ctx, name)
		return notYet(err)
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		made, err = q.s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease,
			MaxAckPending: maxAckPending, MaxDeliver: -1, MaxWaiting: 4096,
		})
	}
	if err != nil {
		return nil, wrong("open consumer of", filter, err)
	}
	return newConsumer(q, name, made.CachedInfo().Config.AckWait)
}
