package node

import (
	"fmt"
	"time"

	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/work/roster"
)

// watchSpace stops taking jobs, code and large values while the disk below the
// embedded bus is nearly full, so that what was accepted can still be done: the results
// of jobs have the reserve to themselves.
func (n *Node) watchSpace(b *jet.Conn) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	reserve := int64(embed.Reserve)
	if n.opts.MaxStore > 0 {
		reserve = min(reserve, n.opts.MaxStore/4)
	}
	known, closed := false, false // what a node before this one left is not known
	for {
		room := n.server.Room()
		full := room < reserve
		if !known || full != closed {
			err := b.Intake(n.ctx, !full, []string{roster.QueueJobs}, []string{roster.BlobsCode, roster.BlobsValues})
			if err == nil && (full || known) {
				n.opts.Logger.Warn("the disk's room decides about new jobs", "refused", full, "room", room)
			}
			known, closed = err == nil, full
		}
		why := ""
		if full {
			why = fmt.Sprintf("its disk is nearly full (%d MiB left for results): new jobs are refused", max(0, room)>>20)
		}
		n.full.Store(&why)
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
	}
}
