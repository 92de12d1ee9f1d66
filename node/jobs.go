package node

import (
	"context"
	"time"

	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
)

// lookEvery is how often the node looks for jobs by itself. Submitters wake it
// sooner; this is for jobs that waited before it was there.
const lookEvery = 3 * time.Second

// watchJobs keeps processes running for every bundle with jobs in the queue.
func (n *Node) watchJobs() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		n.startForJobs()
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		case <-n.wake:
		}
	}
}

func (n *Node) startForJobs() {
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	counts, err := n.stores.Jobs.Counts(ctx, roster.QueueJobs+".>")
	if err != nil {
		if n.ctx.Err() == nil {
			n.opts.Logger.Warn("cannot look for jobs", "err", err)
		}
		return
	}
	wanted := map[poolKey]bool{}
	for subject := range counts {
		if digest, class, _, ok := queue.ParseSubject(subject); ok {
			wanted[poolKey{digest, class == queue.Solo}] = true
		}
	}
	for k := range wanted {
		if _, _, err := n.want(ctx, k); err != nil {
			n.opts.Logger.Debug("cannot run jobs of bundle", "bundle", short(k.digest), "err", err)
		}
	}
}
