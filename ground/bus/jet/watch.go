package jet

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Watch calls f with what is there and with every change.
func (k *kv) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.KindOf(err), "watch", k.name, err)
	}
	// The watcher lives as long as the context it was made with, so what bounds
	// its making must not be a deadline.
	live, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(callTimeout, cancel)
	w, err := k.bucket.WatchAll(live)
	if err == nil && !late.Stop() {
		err = context.DeadlineExceeded
	}
	if err == nil {
		err = k.c.begin("watch", func() {
			defer cancel()
			k.follow(live, w, prefix, f)
			k.c.stop(w)
		})
		if err != nil {
			w.Stop()
		}
	}
	if err != nil {
		cancel()
		return wrong("watch", k.name, err)
	}
	return nil
}

// follow hands on what the watcher says until ctx or the connection ends.
func (k *kv) follow(ctx context.Context, w jetstream.KeyWatcher, prefix string, f func(bus.Entry)) {
	told := map[string]bool{} // until the mark: a key deleted before we came is not told of
	for {
		var e jetstream.KeyValueEntry
		var ok bool
		select {
		case e, ok = <-w.Updates():
		case <-ctx.Done():
		case <-k.c.end:
		}
		if !ok || ctx.Err() != nil {
			return
		}
		if e == nil {
			told = nil
			f(bus.Entry{})
			continue
		}
		if !strings.HasPrefix(e.Key(), prefix) {
			continue
		}
		gone := e.Operation() != jetstream.KeyValuePut
		if told != nil {
			if gone && !told[e.Key()] {
				continue
			}
			told[e.Key()] = true
		}
		value := e.Value()
		if gone {
			value = nil
		}
		f(bus.Entry{Key: e.Key(), Value: value, Revision: e.Revision(), Deleted: gone})
	}
}

// stop ends a watcher. Its own goroutine may be waiting to hand over a change.
func (c *Conn) stop(w jetstream.KeyWatcher) {
	if !c.nc.IsConnected() { // it would wait for the server; the end of the connection ends it
		select {
		case <-c.end:
			return
		default:
		}
	}
	if w.Stop() == nil {
		for range w.Updates() {
		}
	}
}
