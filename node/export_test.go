package node

import (
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/work/control"
)

// RunDir is where the sockets of n's processes are.
func RunDir(n *Node) string { return n.home.Run() }

// Answer is what a node says of its services, in bounds.
var Answer = answer

// StateOf is one word for what a keeper does of what is wanted.
var StateOf = stateOf

// Follow follows a worker process as n does, and returns what n knows of it then.
func Follow(n *Node, child *process.Process) (reason string, refused bool, held []string) {
	pr := newProc(newPool(n, poolKey{digest: "d"}, bundle.Manifest{Name: "hasty"}))
	pr.follow(child, control.Start{})
	return pr.reason, pr.refused, pr.held
}

// RetireLate makes a pool of n retire, and end only when another has taken its place. It
// reports whether a want of the first is refused, and whether the second is still there.
func RetireLate(n *Node) (refused, kept bool) {
	k := poolKey{digest: "d"}
	first, second := newPool(n, k, bundle.Manifest{}), newPool(n, k, bundle.Manifest{})
	first.wanted = first.wanted.Add(-n.opts.Idle)
	n.pools[k] = first
	if !first.retire() || n.pools[k] != nil {
		return false, false
	}
	_, live, _ := first.want()
	n.pools[k] = second
	first.drainAll()
	kept = n.pools[k] == second
	delete(n.pools, k)
	return !live, kept
}
