package jet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// attemptHeader names one attempt to swap a key, so that its writer knows his
// own write when the acknowledgement got lost.
const attemptHeader = "Become-Attempt"

// kv is a key-value bucket.
type kv struct {
	c      *Conn
	name   string
	s      jetstream.Stream
	bucket jetstream.KeyValue
}

// KV opens a key-value store. It is a bucket as NATS makes them, but for one
// thing: reads are answered by the leader alone.
func (c *Conn) KV(ctx context.Context, spec bus.Spec) (bus.KV, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	s, err := c.open(ctx, jetstream.StreamConfig{
		Name: "KV_" + spec.Name, Subjects: []string{"$KV." + spec.Name + ".>"}, MaxMsgsPerSubject: 1,
		MaxAge: spec.MaxAge, MaxBytes: unlimited(spec.MaxBytes), MaxMsgs: -1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, Duplicates: dedupWindow(spec.MaxAge),
	})
	if err != nil {
		return nil, err
	}
	var bucket jetstream.KeyValue
	err = patiently(ctx, func(ctx context.Context) (err error) {
		bucket, err = c.js.KeyValue(ctx, spec.Name)
		return notYet(err)
	})
	if err != nil {
		return nil, wrong("open store", spec.Name, err)
	}
	return &kv{c, spec.Name, s, bucket}, nil
}

func dedupWindow(age time.Duration) time.Duration {
	if age > 0 {
		return min(age, dedupFor)
	}
	return dedupFor
}

func (k *kv) subject(key string) string { return "$KV." + k.name + "." + key }

// last returns the newest message of a key, as the leader has it.
func (k *kv) last(ctx context.Context, key string) (m *jetstream.RawStreamMsg, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		m, err = k.s.GetLastMsgForSubject(ctx, k.subject(key))
		return notYet(err)
	})
	return m, err
}

func deleted(m *jetstream.RawStreamMsg) bool {
	return m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != ""
}

// Get returns a key's value.
func (k *kv) Get(ctx context.Context, key string) (bus.Entry, error) {
	if !bus.ValidKey(key) {
		return bus.Entry{}, badKey(key)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	m, err := k.last(ctx, key)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return bus.Entry{}, wrong("get key", key, err)
	}
	if err != nil || deleted(m) {
		return bus.Entry{}, fault.Text(fault.NotFound, "get key", key, "there is none")
	}
	return bus.Entry{Key: key, Value: m.Data, Revision: m.Sequence}, nil
}

func badKey(key string) error {
	return fault.Text(fault.Invalid, "use key", fmt.Sprintf("%q", key), "a key is letters, digits and -_=./")
}

// Put stores a value.
func (k *kv) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if !bus.ValidKey(key) {
		return 0, badKey(key)
	}
	if err := sized("store key", key, value); err != nil {
		return 0, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var rev uint64
	err := untilLed(ctx, func() (err error) {
		rev, err = k.bucket.Put(ctx, key, value)
		return err
	})
	return rev, wrong("store key", key, err)
}

// Swap stores a value if the key has not changed.
func (k *kv) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if !bus.ValidKey(key) {
		return 0, badKey(key)
	}
	if err := sized("swap key", key, value); err != nil {
		return 0, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	m := &nats.Msg{Subject: k.subject(key), Data: value, Header: nats.Header{}}
	m.Header.Set(attemptHeader, nuid.Next())
	expected := revision
	if revision == 0 {
		var err error
		if expected, err = k.absent(ctx, key, m); err != nil {
			return 0, err
		}
	}
	for resent := false; ; {
		m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(expected, 10))
		ack, again, err := k.write(ctx, m)
		resent = resent || again
		if err == nil {
			return ack.Sequence, nil
		}
		failure := wrong("swap key", key, err)
		if kind := fault.KindOf(failure); kind == fault.Busy || kind == fault.Denied || kind == fault.Invalid {
			return 0, failure
		}
		// The write may have happened and its acknowledgement be lost, or the "conflict"
		// may be with an earlier delivery of itself: look before deciding.
		now, there, mine, err := k.present(context.WithoutCancel(ctx), m)
		if mine {
			return now, nil
		}
		if resent && fault.KindOf(failure) == fault.Conflict && now != expected {
			// An earlier delivery may have won, and another writer come after it.
			return 0, fault.New(fault.Lost, "swap key", key, errors.New("the bus was away: it may have happened or not"))
		}
		unchanged := now == revision || revision == 0 && !there
		if err != nil || fault.KindOf(failure) != fault.Conflict || !unchanged {
			return 0, failure
		}
		// The conflict is with a write that a cluster has not finished and nobody can
		// see yet, or with a second deletion.
		select {
		case <-time.After(2 * time.Millisecond):
			expected = now
		case <-ctx.Done():
			return 0, wrong("swap key", key, ctx.Err())
		}
	}
}

// absent is what to expect of a key that is not there: a deleted one leaves a marker that has a number of its own.
func (k *kv) absent(ctx context.Context, key string, m *nats.Msg) (expected uint64, err error) {
	expected, there, _, err := k.present(ctx, m)
	switch {
	case err != nil:
		return 0, wrong("swap key", key, err)
	case there:
		return 0, fault.Text(fault.Conflict, "swap key", key, "it exists")
	}
	return expected, nil
}

// write publishes a message, and says whether that was done more than once.
func (k *kv) write(ctx context.Context, m *nats.Msg) (ack *jetstream.PubAck, resent bool, err error) {
	err = untilLed(ctx, func() (err error) {
		var again bool
		ack, again, err = k.c.publish(ctx, m, m.Header.Get(attemptHeader))
		resent = resent || again
		return err
	})
	return ack, resent, err
}

// present looks at the key that m is for: the number of its newest message,
// whether that is a value, and whether it is m itself.
func (k *kv) present(ctx context.Context, m *nats.Msg) (seq uint64, there, mine bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	now, err := k.last(ctx, strings.TrimPrefix(m.Subject, k.subject("")))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, false, false, nil
	}
	if err != nil {
		return 0, false, false, err
	}
	return now.Sequence, !deleted(now), now.Header.Get(attemptHeader) == m.Header.Get(attemptHeader), nil
}

// Delete removes a key.
func (k *kv) Delete(ctx context.Context, key string) error {
	if !bus.ValidKey(key) {
		return badKey(key)
	}
	if _, err := k.Get(ctx, key); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil
		}
		return err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return wrong("delete key", key, untilLed(ctx, func() error { return k.bucket.Delete(ctx, key) }))
}
