package child

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// watchMemory gives up the process when its heap stays above the limit after
// a collection. It looks often: an interpreted loop can take a gigabyte in a second.
func (c *child) watchMemory(ctx context.Context, limit int64) {
	// Above the limit, or the collector would fight for the last bytes of a process
	// that is lost anyway.
	debug.SetMemoryLimit(limit + limit/4)
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		if sample[0].Value.Uint64() < uint64(limit) {
			continue
		}
		runtime.GC()
		metrics.Read(sample)
		if sample[0].Value.Uint64() >= uint64(limit) {
			c.worker.Condemn(memoryReason(limit))
			c.leave(memoryReason(limit))
			return
		}
	}
}
