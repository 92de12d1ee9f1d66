package jet

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// watch is one watch of a store. One goroutine owns it.
type watch struct {
	k      *kv
	prefix string
	f      func(bus.Entry)

	w     jetstream.KeyWatcher
	stop  context.CancelFunc // of the watcher
	again <-chan struct{}    // closed when the connection was lost and is back

	seen uint64          // the last revision
	told map[string]bool // before the mark: a key deleted before we came is not told of
	// The server that feeds the watcher may be behind the leader, and say too early
	// that all is told: the mark waits for the leader's last revision.
	last uint64
	late bool // the mark is due when last has been seen
}

// Watch calls f with what is there and with every change.
func (k *kv) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.KindOf(err), "watch", k.name, err)
	}
	ctx, stop := context.WithCancel(ctx)
	detach := context.AfterFunc(k.c.life, stop)
	end := func() {
		detach()
		stop()
	}
	w := &watch{k: k, prefix: prefix, f: f, told: map[string]bool{}}
	err := w.begin(ctx)
	if k.c.life.Err() != nil {
		err = nats.ErrConnectionClosed
	}
	if err == nil {
		err = k.c.begin("watch", func() {
			defer end()
			w.run(ctx)
			w.end()
		})
	}
	if err != nil {
		w.end()
		end()
	}
	return wrong("watch", k.name, err)
}

// begin makes a watcher: the first of all that is there, another one of what
// has changed since.
func (w *watch) begin(ctx context.Context) error {
	w.again = w.k.c.reconnected()
	info, err := w.k.info(ctx)
	if err != nil {
		return err
	}
	var opts []jetstream.WatchOpt
	if w.told == nil {
		opts = append(opts, jetstream.ResumeFromRevision(w.seen+1))
	} else if info.State.Msgs > 0 {
		w.last = info.State.LastSeq
	}
	// The watcher lives as long as the context it was made with, so what bounds
	// its making must not be a deadline.
	live, stop := context.WithCancel(ctx)
	late := time.AfterFunc(callTimeout, stop)
	watcher, err := w.k.bucket.WatchAll(live, opts...)
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		stop()
		return err
	}
	w.w, w.stop = watcher, stop
	return nil
}

// end ends the watcher. Its own goroutine may be waiting to hand over a change.
func (w *watch) end() {
	if w.w == nil {
		return
	}
	defer w.stop()
	if !w.k.c.nc.IsConnected() { // it would wait for the server; the end of the connection ends it
		return
	}
	if w.w.Stop() == nil {
		for range w.w.Updates() {
		}
	}
}

// rewatch takes up the watch with another watcher.
func (w *watch) rewatch(ctx context.Context) {
	w.end()
	for w.w = nil; w.begin(ctx) != nil; {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// markWithin is how long the mark waits for the leader's last revision at most.
const markWithin = 5 * time.Second

// run hands on what the watcher says until ctx or the connection ends.
func (w *watch) run(ctx context.Context) {
	patience := time.NewTimer(markWithin)
	defer patience.Stop()
	for ctx.Err() == nil {
		if w.w == nil {
			return // rewatch gave up
		}
		select {
		case e, ok := <-w.w.Updates():
			if !ok || ctx.Err() != nil {
				return
			}
			w.tell(e)
		case <-patience.C:
			w.last = 0
		case <-w.again:
			w.rewatch(ctx)
		case <-ctx.Done():
			return
		}
		if w.late && w.seen >= w.last {
			w.late, w.told = false, nil
			w.f(bus.Entry{})
		}
	}
}

func (w *watch) tell(e jetstream.KeyValueEntry) {
	if e == nil {
		w.late = w.told != nil
		return
	}
	if e.Revision() <= w.seen {
		return
	}
	w.seen = e.Revision()
	if !strings.HasPrefix(e.Key(), w.prefix) {
		return
	}
	gone := e.Operation() != jetstream.KeyValuePut
	if w.told != nil {
		if gone && !w.told[e.Key()] {
			return
		}
		w.told[e.Key()] = true
	}
	value := e.Value()
	if gone {
		value = nil
	}
	w.f(bus.Entry{Key: e.Key(), Value: value, Revision: e.Revision(), Deleted: gone})
}
