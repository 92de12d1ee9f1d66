package node

import (
	"context"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/work/roster"
)

// followAtMost ends a follower that never said stop: its process may be gone. One that is there asks again.
const followAtMost = 12 * time.Hour

// follow answers with lines as they come, each by itself, and with a chunk without any now and then, from which who follows knows that
// this node is there.
func (a *logAnswer) follow(q roster.LogQuery, query logs.Query) error {
	ctx, cancel := context.WithTimeout(a.n.ctx, followAtMost)
	defer cancel()
	defer a.n.followers.begin(a.to, q.Stream, cancel)()
	stop, err := a.n.bus.Subscribe(ctx, q.Stop, "", func(bus.Message) { cancel() })
	if err != nil {
		return err
	}
	defer stop.Unsubscribe()
	a.chunk.Stream = q.Stream
	var from *logs.Position
	if q.After != nil {
		at := logs.Position(*q.After)
		from = &at
		query.Count = 0
	}
	var mu sync.Mutex // guards a
	var beats sync.WaitGroup
	if q.Stream != 0 {
		beats.Go(func() { a.beat(ctx, &mu) })
	}
	defer beats.Wait()
	defer cancel()
	return a.n.logs.FollowFrom(ctx, query, from, func(l logs.Line, at logs.Position) error {
		mu.Lock()
		defer mu.Unlock()
		a.take(l)
		to := roster.LogPosition(at)
		a.chunk.At = &to
		return a.flush()
	})
}

// followers are who is told of lines as they come, by where their answers go. The zero value has none.
type followers struct {
	mu  sync.Mutex
	all map[string]*stream
}

// stream is an answer that goes on.
type stream struct {
	number uint64
	cancel context.CancelFunc
}

// begin ends the older one of two streams of the same follower, who may have asked again and again while this node was away.
func (f *followers) begin(inbox string, number uint64, cancel context.CancelFunc) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before := f.all[inbox]; before != nil && before.number > number {
		cancel()
		return func() {}
	} else if before != nil {
		before.cancel()
	}
	if f.all == nil {
		f.all = map[string]*stream{}
	}
	s := &stream{number, cancel}
	f.all[inbox] = s
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.all[inbox] == s {
			delete(f.all, inbox)
		}
	}
}

// beat says that the node is there until ctx ends.
func (a *logAnswer) beat(ctx context.Context, mu *sync.Mutex) {
	every := time.NewTicker(roster.LogBeat)
	defer every.Stop()
	for {
		mu.Lock()
		err := a.flush()
		mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}
