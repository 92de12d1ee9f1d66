package fleet

import (
	"context"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// lookForNew is how often Upgrade looks whether the node is back.
const lookForNew = 100 * time.Millisecond

// Upgrade lets a node become the version that is installed on its machine, and returns its state when that runs. The error
// is the node's when it goes on as it was; fault.Deadline or fault.Canceled when ctx ends before anything is known.
func (f *Fleet) Upgrade(ctx context.Context, node roster.Status) (roster.Status, error) {
	refused := make(chan []byte, 1)
	inbox := f.bus.Inbox()
	sub, err := f.bus.Subscribe(ctx, inbox, "", func(m bus.Message) {
		select {
		case refused <- m.Data:
		default:
		}
	})
	if err != nil {
		return roster.Status{}, err
	}
	defer sub.Unsubscribe()
	if err := f.bus.Send(bus.Message{Subject: roster.UpgradeSubject(node.Node), Reply: inbox}); err != nil {
		return roster.Status{}, err
	}
	tick := time.NewTicker(lookForNew)
	defer tick.Stop()
	for {
		select {
		case data := <-refused:
			why, _, err := fault.Unmarshal(data)
			if err == nil {
				err = why
			}
			return roster.Status{}, err
		case <-tick.C:
		case <-ctx.Done():
			return roster.Status{}, fault.New(fault.KindOf(ctx.Err()), "upgrade node", node.Node, context.Cause(ctx))
		}
		if now, ok := f.again(ctx, node); ok {
			return now, nil
		}
	}
}

// again looks for a node that was started later than before. No answer is none: its bus may be away.
func (f *Fleet) again(ctx context.Context, before roster.Status) (now roster.Status, ok bool) {
	all, err := f.Nodes(ctx, 0)
	if err != nil {
		return now, false
	}
	for _, n := range all {
		if n.Node == before.Node && n.Started.After(before.Started) {
			return n, true
		}
	}
	return now, false
}
