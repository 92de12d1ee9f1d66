package router

import (
	"container/list"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/handoff"
)

// closeWithin is how long Close waits for connections to be taken.
const closeWithin = 5 * time.Second

// Listener is what a router accepts from: net's of TCP and of Unix sockets.
type Listener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// Seats tells which processes serve the socket at an address; *keeper.Keeper does.
type Seats interface {
	Seats(network, addr string) []handoff.Seat
	// Changed returns a channel that is closed when they may be others.
	Changed() <-chan struct{}
}

// Router accepts connections and hands them to processes. Pause, Resume and Close are for one goroutine at a
// time. One of its own accepts, one follows the seats, and one for each connection reads its key; Close waits
// for all. mu guards what is below it.
type Router struct {
	l     Listener
	seats Seats
	opts  Options
	look  chan struct{} // holds an item when follow should look at who waits
	place chan struct{} // holds an item when accept should look for a place
	wg    sync.WaitGroup

	accepting sync.WaitGroup // accept

	open  context.Context // ends when nothing more shall be accepted
	shut  context.CancelFunc
	alive context.Context // ends when Close waits no more
	kill  context.CancelFunc

	mu      sync.Mutex
	policy  Policy
	route   string         // the policy's text
	now     []handoff.Seat // that serve
	version int            // grows when they change
	gate    chan struct{}  // closed while there are some
	turn    int            // which of them is looked at first
	waiting []*held        // oldest first
	readers list.List      // of net.Conn: whose key is read, oldest first
	hands   int            // connections in the router's hands
	settled chan struct{}  // holds an item when Close and Pause should look
	closed  bool           // connections are closed, not handed over
}

// held is a connection in the router's hands.
type held struct {
	conn net.Conn
	read []byte

	key     uint64
	keyed   bool
	want    *handoff.Sender // of the key, among the seats of version
	version int
	since   time.Time // when it began to wait
}

// New returns a router that accepts from l and hands over to seats, until Close. The listener stays the
// caller's.
func New(l Listener, seats Seats, opts *Options) *Router {
	r := &Router{
		l: l, seats: seats, opts: opts.withDefaults(),
		look: make(chan struct{}, 1), place: make(chan struct{}, 1), settled: make(chan struct{}, 1),
		gate: make(chan struct{}),
	}
	r.alive, r.kill = context.WithCancel(context.Background())
	r.wg.Go(r.follow)
	r.Resume()
	return r
}

// Resume accepts again after a Pause.
func (r *Router) Resume() {
	r.l.SetDeadline(time.Time{})
	r.open, r.shut = context.WithCancel(context.Background())
	r.accepting.Go(r.accept)
}

// Pause stops accepting and returns when processes have taken all that was accepted: then the router
// holds nothing that would be lost with it. When ctx ends before, it goes on as before and
// answers with fault.Busy.
func (r *Router) Pause(ctx context.Context) error {
	r.stop()
	for n := r.Pending(); n > 0; n = r.Pending() {
		select {
		case <-r.settled:
		case <-ctx.Done():
			r.Resume()
			return fault.Text(fault.Busy, "pause routing at", r.l.Addr().String(), fmt.Sprintf("no process takes the %d connections that wait", n))
		}
	}
	return nil
}

// stop returns when nothing more is accepted. Whose key is being read goes on without.
func (r *Router) stop() {
	r.shut()
	r.l.SetDeadline(time.Unix(1, 0))
	r.accepting.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.readers.Front(); e != nil; e = e.Next() {
		hurry(e.Value.(net.Conn))
	}
}

// Close stops accepting and returns when the processes have taken what was accepted. What no process
// takes is closed: when none serves, after five seconds, or when ctx ends. The listener is as
// it was, and another router may go on with it.
func (r *Router) Close(ctx context.Context) {
	r.stop()
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	for waiting := r.isBusy(); waiting; {
		select {
		case <-r.settled:
			waiting = r.isBusy()
		case <-late.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	r.drop()
	r.kill()
	r.wg.Wait()
	r.l.SetDeadline(time.Time{})
}

// isBusy says whether something can still be handed over.
func (r *Router) isBusy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hands > 0 && len(r.now) > 0
}

// drop closes what nobody has taken; what has been sent is closed if it comes back.
func (r *Router) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, h := range r.waiting {
		r.closeLocked(h)
	}
	r.waiting = nil
}

// Pending says how many connections are in the router's hands.
func (r *Router) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hands
}

func (r *Router) closeLocked(h *held) {
	h.conn.Close()
	r.releaseLocked()
}

// releaseLocked notes that a connection has left the router's hands.
func (r *Router) releaseLocked() {
	r.hands--
	nudge(r.place)
	if r.hands == 0 {
		nudge(r.settled)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
