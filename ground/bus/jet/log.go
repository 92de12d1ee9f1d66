package jet

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
)

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
	return l.put(ctx, bus.Message{Subject: subject, Data: data}, "")
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
	var info *jetstream.StreamInfo
	err := patiently(ctx, func(ctx context.Context) (err error) {
		info, err = l.s.Info(ctx)
		return notYet(err)
	})
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
