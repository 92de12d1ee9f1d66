package node

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/roster"
)

// onWant answers a boss.
func (n *Node) onWant(m bus.Message) {
	var want roster.Want
	if json.Unmarshal(m.Data, &want) != nil || !bundle.ValidDigest(want.Digest) || m.Reply == "" {
		return
	}
	n.work(func() {
		offer := n.offer(want)
		if data, err := json.Marshal(offer); err == nil {
			n.bus.Publish(m.Reply, data)
		}
	})
}

// offer makes sure that there are processes for the bundle, or says why not.
func (n *Node) offer(want roster.Want) roster.Offer {
	o := roster.Offer{Node: n.ID(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	var err error
	o.Workers, o.Failed, err = n.want(ctx, poolKey{want.Digest, want.Solo})
	if err != nil {
		o.Refused, o.Kind = err.Error(), fault.KindOf(err).String()
	}
	if e, ok := errors.AsType[*wrongPlatform](err); ok {
		o.Refused, o.WrongPlatform = e.Error(), true
	}
	return o
}

// want makes sure that there are processes for a bundle and returns the workers that are
// ready. failed: there will be none for a while, because they die.
func (n *Node) want(ctx context.Context, k poolKey) (ready []roster.Endpoint, failed bool, err error) {
	for {
		p, err := n.pool(ctx, k)
		if err != nil {
			return nil, false, err
		}
		if ready, live, err := p.want(); live {
			return ready, err != nil, err
		}
	}
}

// forget makes a want find another pool than p.
func (n *Node) forget(p *pool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pools[p.key] == p {
		delete(n.pools, p.key)
	}
}

// wrongPlatform says that a bundle is for other machines.
type wrongPlatform struct{ platform string }

func (e *wrongPlatform) Error() string { return "no worker for " + e.platform }

// pool returns the processes of a bundle, checked and ready to be started.
func (n *Node) pool(ctx context.Context, k poolKey) (*pool, error) {
	n.mu.Lock()
	p := n.pools[k]
	stopping := n.stopping || n.resting
	n.mu.Unlock()
	if stopping {
		return nil, fault.Text(fault.Busy, "run bundle", short(k.digest), "the node is stopping")
	}
	if p != nil {
		return p, nil
	}
	m, err := n.store.Manifest(ctx, k.digest)
	if err != nil {
		return nil, err
	}
	if !m.RunsHere() {
		return nil, &wrongPlatform{m.Platform()}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pools[k]; p != nil {
		return p, nil
	}
	if n.stopping || n.resting {
		return nil, fault.Text(fault.Busy, "run bundle", short(k.digest), "the node is stopping")
	}
	p = newPool(n, k, m)
	n.pools[k] = p
	n.wg.Go(p.run)
	return p, nil
}

// lookForJobs makes watchJobs look now.
func (n *Node) lookForJobs() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}
