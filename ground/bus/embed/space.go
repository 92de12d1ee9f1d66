package embed

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/universal-server/become/ground/disk"
)

// The room on the disk is looked at the more often the less there is: sooner than
// a program could fill it that writes fullSpeed bytes a second.
const (
	fullSpeed = 4 << 30
	lookMost  = 20 * time.Millisecond
	lookLeast = 500 * time.Millisecond
)

func lookAgain(free int64) time.Duration {
	if free < 0 {
		return lookLeast
	}
	return min(max(time.Duration(float64(free)/fullSpeed*float64(time.Second)), lookMost), lookLeast)
}

// boundless stands for no bound of our own.
const boundless = 1 << 50

// guardSpace keeps the store from filling its disk: what it may take is bounded
// anew, again and again, by what is free less Reserve, whoever takes it. Should
// another program be faster and a write fail all the same, the server has closed its
// store to protect it; it is opened again when there is room.
func (e *Server) guardSpace(ctx context.Context, opts Options) {
	for {
		free := disk.Free(opts.Dir)
		e.boundStore(opts, free)
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAgain(free)):
		}
	}
}

func (e *Server) boundStore(opts Options, free int64) {
	if free < 0 {
		return
	}
	if !e.s.JetStreamEnabled() {
		if free > Reserve && e.s.Running() {
			err := e.s.EnableJetStream(&server.JetStreamConfig{
				StoreDir: opts.Dir, MaxMemory: maxMemory, MaxStore: storeBound(opts), SyncAlways: opts.SyncAlways, SyncInterval: syncInterval,
			})
			e.log.l.Warn("the disk was full and has room again", "free", free, "err", err)
		}
		return
	}
	account := e.s.GlobalAccount()
	usage := account.JetStreamUsage()
	bound := min(int64(usage.Store)+max(0, free-Reserve), storeBound(opts))
	bound = max(bound, 1) // 0 and below would mean none
	limits := usage.Limits
	if limits.MaxStore == bound {
		return
	}
	limits.MaxStore = bound
	if err := account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}); err != nil {
		e.log.l.Warn("cannot bound the bus's files", "err", err)
	}
}

func storeBound(opts Options) int64 {
	if opts.MaxStore > 0 {
		return opts.MaxStore
	}
	return boundless
}

// Room is how many bytes the store may still take; 0 when it was closed to protect it.
func (e *Server) Room() int64 {
	if !e.s.JetStreamEnabled() {
		return 0
	}
	usage := e.s.GlobalAccount().JetStreamUsage()
	if usage.Limits.MaxStore <= 0 {
		return boundless
	}
	return max(0, usage.Limits.MaxStore-int64(usage.Store))
}
