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
		return err
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
func (k *kv) last(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	return k.s.GetLastMsgForSubject(ctx, k.subject(key))
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
	ctx, cancel := bounded(ctx)
	defer cancel()
	rev, err := k.bucket.Put(ctx, key, value)
	return rev, wrong("store key", key, err)
}

// Swap stores a value if the key has not changed.
func (k *kv) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if !bus.ValidKey(key) {
		return 0, badKey(key)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	expected := revision
	if revision == 0 { // a deleted key leaves a marker that has a number of its own
		m, err := k.last(ctx, key)
		switch {
		case err == nil && !deleted(m):
			return 0, fault.Text(fault.Conflict, "swap key", key, "it exists")
		case err == nil:
			expected = m.Sequence
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, wrong("swap key", key, err)
		}
	}
	attempt := nuid.Next()
	m := &nats.Msg{Subject: k.subject(key), Data: value, Header: nats.Header{}}
	m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(expected, 10))
	m.Header.Set(attemptHeader, attempt)
	ack, err := k.c.js.PublishMsg(ctx, m)
	if err == nil {
		return ack.Sequence, nil
	}
	failure := wrong("swap key", key, err)
	if kind := fault.KindOf(failure); kind == fault.Busy || kind == fault.Denied || kind == fault.Invalid {
		return 0, failure
	}
	// The write may have happened, its acknowledgement lost, or this "conflict"
	// may be with an earlier delivery of itself: look before deciding.
	look, cancelLook := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelLook()
	if now, e := k.last(look, key); e == nil && now.Header.Get(attemptHeader) == attempt {
		return now.Sequence, nil
	}
	return 0, failure
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
	return wrong("delete key", key, k.bucket.Delete(ctx, key))
}

// Watch calls f with what is there and with every change.
func (k *kv) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	// The watcher lives as long as the context it was made with, so what bounds
	// its making must not be a deadline.
	live, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(callTimeout, cancel)
	w, err := k.bucket.WatchAll(live)
	if err == nil && !late.Stop() {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return wrong("watch", k.name, err)
	}
	var over = make(chan struct{})
	stop := context.AfterFunc(ctx, func() { w.Stop() })
	k.c.atClose(func() {
		stop()
		w.Stop()
		cancel()
		<-over
	})
	go func() { // ends when the watcher stops, for which Close waits
		defer close(over)
		for e := range w.Updates() {
			if ctx.Err() != nil {
				continue
			}
			if e == nil {
				f(bus.Entry{})
				continue
			}
			if strings.HasPrefix(e.Key(), prefix) {
				gone := e.Operation() != jetstream.KeyValuePut
				f(bus.Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Deleted: gone})
			}
		}
	}()
	return nil
}
