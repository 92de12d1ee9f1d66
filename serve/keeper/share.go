package keeper

import (
	"cmp"
	"runtime"

	"github.com/universal-server/become/serve/wire"
)

// processorsLocked is how many of the machine's processors each process of a generation uses: those who
// share a socket share them. With all of them each would take turns from the others, and look
// for work while it has none.
func (k *Keeper) processorsLocked(g *generation) int {
	all, procs := runtime.GOMAXPROCS(0), cmp.Or(g.procs, k.procs, 1)
	return (all + procs - 1) / procs
}

// shareLocked tells the processes that serve what their share is, after their number has changed.
func (k *Keeper) shareLocked() {
	n := k.processorsLocked(k.current)
	for _, s := range k.serving {
		select {
		case <-s.share: // nobody has heard it, and it is old
		default:
		}
		s.share <- n
	}
}

// takeShare passes on what a process's share is now.
func (l *life) takeShare(processors int) {
	if l.conn != nil {
		l.say(wire.ToProcess{Share: &wire.Share{Processors: processors}})
	}
}
