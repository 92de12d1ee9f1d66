package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
)

// HandoverVersion is the form of Handover that this version of the package writes, and the only one that it reads.
const HandoverVersion = 1

// restWithin is how long tasks may go on when the node's program is replaced.
const restWithin = 10 * time.Second

// Handover is all that another program needs to go on as this node. It travels as JSON, beside the files that it speaks
// of. Treat it as opaque.
type Handover struct {
	Version  int           `json:"version"`
	Home     home.State    `json:"home"`
	Services []servedState `json:"services,omitempty"`
}

// servedState is a role on this node.
type servedState struct {
	Name       string           `json:"name"`
	Record     role.Role        `json:"record"`
	Edition    role.Edition     `json:"edition"`
	Before     role.Edition     `json:"before"`
	Generation uint64           `json:"generation,omitempty"`
	Restarts   uint64           `json:"restarts,omitempty"`
	Unset      uint64           `json:"unset,omitempty"`
	Tried      []role.Edition   `json:"tried,omitempty"`
	Master     *master.Handover `json:"master"`
}

// Handover ends all of the node but its services' sockets and processes, for the program that replaces this one, see
// package reexec: that starts a node with Options.Adopt. Tasks may go on for ten seconds; what runs longer runs again
// later. The bus is closed.
//
// After an error the node goes on as before: fault.Busy when a service is being deployed, starts or ends for longer than
// within, fault.Canceled when ctx has ended, fault.Invalid for a fleet that lasts only as long as a command. After
// success nothing but reexec.Exec can follow.
func (n *Node) Handover(ctx context.Context, within time.Duration, out *reexec.Out) (*Handover, error) {
	h, err := n.handover(ctx, within, out)
	if err != nil {
		n.setResting(false)
		n.lookForJobs()
		return nil, fault.New(fault.KindOf(err), "hand over node", n.ID(), err)
	}
	n.close()
	return h, nil
}

func (n *Node) handover(ctx context.Context, within time.Duration, out *reexec.Out) (*Handover, error) {
	if n.opts.Embedded {
		return nil, fault.Text(fault.Invalid, "", "", "it lasts only as long as a command")
	}
	h := &Handover{Version: HandoverVersion}
	var err error
	if h.Home, err = n.home.Handover(out); err != nil {
		return nil, err
	}
	if err := n.rest(ctx); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	h.Services, err = n.services.handover(waiting, out)
	if ctx.Err() != nil && err != nil {
		err = fault.New(fault.KindOf(ctx.Err()), "", "", context.Cause(ctx))
	}
	return h, err
}

// rest ends all worker processes, and starts none.
func (n *Node) rest(ctx context.Context) error {
	pools := n.setResting(true)
	over := make(chan struct{})
	go func() { // each ends in bounded time, and when the node stops
		defer close(over)
		var wg sync.WaitGroup
		for _, p := range pools {
			wg.Go(func() { p.stop("its node becomes another version") })
		}
		wg.Wait()
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), "end tasks", "", context.Cause(ctx))
	}
}

func (n *Node) setResting(on bool) (pools []*pool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resting = on
	for _, p := range n.pools {
		pools = append(pools, p)
	}
	return pools
}

// handover lets all roles stand still.
func (s *services) handover(ctx context.Context, out *reexec.Out) (states []servedState, err error) {
	for _, v := range s.setStill(true) {
		if err = v.stands(ctx); err != nil {
			break
		}
		if v.master == nil {
			continue
		}
		st := servedState{Name: v.name, Record: v.record, Edition: v.edition, Before: v.before, Generation: v.generation, Restarts: v.restarts, Unset: v.unset, Tried: v.tried}
		if st.Master, err = v.master.Handover(ctx, out); err != nil {
			err = fault.New(fault.KindOf(err), "hand over service", v.name, err)
			break
		}
		states = append(states, st)
	}
	if err != nil {
		s.setStill(false)
	}
	return states, err
}

// setStill lets the roles' goroutines end, with everything as it is, or go on.
func (s *services) setStill(on bool) []*served {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still = on
	var all []*served
	for _, v := range s.all {
		all = append(all, v)
		v.mu.Lock()
		v.still = on
		v.wakeUp()
		v.mu.Unlock()
		if !on {
			s.startLocked(v)
		}
	}
	return all
}

// ended is closed when the role's goroutine has ended.
func (v *served) ended() chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.over
}

// stands returns when the role's goroutine has ended.
func (v *served) stands(ctx context.Context) error {
	select {
	case <-v.ended():
		return nil
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	what := v.busy
	if what == "" {
		what = "busy"
	}
	return fault.Text(fault.Busy, "hand over service", v.name, "it is still "+what).WithHint("try again when it serves; become ps says what it does")
}

// adoptServices goes on with the services of the program before. One that cannot be had is begun anew.
func (n *Node) adoptServices() error {
	h := n.opts.Adopt
	if h == nil {
		return nil
	}
	for _, st := range h.Services {
		v := newServed(n.services, st.Name)
		v.record, v.edition, v.before, v.generation, v.restarts, v.adopted = st.Record, st.Edition, st.Before, st.Generation, st.Restarts, true
		v.unset, v.tried = st.Unset, st.Tried
		m, err := master.Adopt(st.Master, n.opts.Received, v.options())
		if err != nil {
			n.opts.Logger.Error("a service begins anew", "role", st.Name, "err", err)
			continue
		}
		v.master = m
		n.services.all[st.Name] = v
	}
	return nil
}

// removeUnheard drops roles that were removed while the program was replaced.
func (s *services) removeUnheard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.all {
		if !v.isHeard() {
			v.want(nil)
			s.startLocked(v)
		}
	}
}

func (v *served) isHeard() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.heard
}

// catchUp takes what an adopted role needs besides its processes.
func (v *served) catchUp(ctx context.Context) error {
	for _, e := range []role.Edition{v.edition, v.before} {
		if e.Number == 0 || e.Stock != "" {
			continue
		}
		if _, err := v.program(ctx, e); err != nil { // holds the code
			return err
		}
	}
	if _, err := v.spec(ctx, v.edition); err != nil { // serves the register
		return err
	}
	v.adopted = false
	return nil
}

// Ask is a client's wish that the node becomes the version that is installed now.
type Ask struct {
	n     *Node
	reply string
}

// Asks has the wishes that come over the bus. Whoever runs the node fulfils or refuses them.
func (n *Node) Asks() <-chan Ask { return n.asks }

// Refuse tells the client why not.
func (a Ask) Refuse(err error) {
	a.n.bus.Publish(a.reply, fault.Marshal(nil, err))
}

func (n *Node) onUpgrade(m bus.Message) {
	if m.Reply == "" {
		return
	}
	a := Ask{n, m.Reply}
	select {
	case n.asks <- a:
	default:
		a.Refuse(fault.Text(fault.Busy, "upgrade node", n.ID(), "it is asked already"))
	}
}

func (n *Node) checkAdopt() error {
	switch h := n.opts.Adopt; {
	case h == nil:
		return nil
	case h.Version != HandoverVersion:
		return fault.Text(fault.Invalid, "adopt node", "", fmt.Sprintf("its form is version %d, this program knows version %d", h.Version, HandoverVersion))
	case n.opts.Received == nil:
		return fault.Text(fault.Invalid, "adopt node", "", "there are no files")
	}
	return nil
}
