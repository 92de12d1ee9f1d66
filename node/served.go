package node

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/wire"
)

// What could not be done is tried again, first after retryFirst, then each time after twice as long.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
)

// served is one role on this node. Its goroutine, run, makes the node do what the record
// says; mu guards what others look at.
type served struct {
	s    *services
	name string
	poke chan struct{} // has an item when run should look again

	mu      sync.Mutex
	over    chan struct{} // closed when run has ended
	runs    bool          // run does
	still   bool          // run shall end, with everything as it is
	heard   bool          // record is what the fleet says, not only the program before
	record  role.Role
	removed bool
	leaving bool
	cancel  context.CancelFunc // of what run is at
	seen    uint64             // see role.Status
	reason  string             // why it is not as it should be
	busy    string             // what run is at
	master  *master.Master     // nil while nothing is open
	edition role.Edition       // that serves; Number 0: none
	before  role.Edition       // that served before, and may come back by itself
	tried   []role.Edition     // that differed from the next one, and edition, in the settings that were taken live; they may come back, too

	// Of run.
	generation uint64            // the master's, of edition
	unset      uint64            // how often the master has taken settings back, as far as is known
	restarts   uint64            // as in the record
	releases   map[string]func() // of the code in use, by digest
	owned      *owned            // nil: there is none
	adopted    bool              // and catchUp was not called
	level      *string           // the log's that the master was told; nil: none
	failed     uint64            // revision that could not be done
	again      time.Time         // when to try it again
	wait       time.Duration
}

// closed is closed.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func newServed(s *services, name string) *served {
	return &served{s: s, name: name, poke: make(chan struct{}, 1), over: closed, releases: map[string]func(){}}
}

// want notes what the record says, and interrupts what was begun for another edition or state.
func (v *served) want(r *role.Role) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r == nil || r.Now.Number != v.record.Now.Number || r.State != v.record.State {
		v.interruptLocked()
	}
	v.removed, v.heard = r == nil, true
	if r != nil {
		v.record = *r
	}
	v.wakeUp()
}

func (v *served) quit() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leaving = true
	v.interruptLocked()
	v.wakeUp()
}

func (v *served) interruptLocked() {
	if v.cancel != nil {
		v.cancel()
	}
}

func (v *served) wakeUp() {
	select {
	case v.poke <- struct{}{}:
	default:
	}
}

func (v *served) isRemoved() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.removed
}

// run ends when the role is removed, the node stops, or it shall stand still.
func (v *served) run() {
	for {
		ctx, record, gone, leaving := v.next()
		if ctx == nil {
			return
		}
		if gone {
			v.shut("draining")
			if leaving || v.s.forget(v) {
				return
			}
			continue
		}
		// Asked for before the look, so that no change is missed.
		changed := v.changes()
		if record.Revision != v.failed || !time.Now().Before(v.again) {
			v.note(record, v.apply(ctx, record))
		}
		var again <-chan time.Time
		if v.failed == record.Revision {
			again = time.After(time.Until(v.again))
		}
		select {
		case <-v.poke:
		case <-again:
		case <-changed:
		}
	}
}

// next returns what is to be done now, and a context that ends when it is something else; nil to do nothing more.
func (v *served) next() (ctx context.Context, record role.Role, gone, leaving bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.interruptLocked()
	if v.still {
		v.runs = false
		return nil, record, false, false
	}
	ctx, v.cancel = context.WithCancel(v.s.n.ctx)
	return ctx, v.record, v.removed || v.leaving, v.leaving
}

func (v *served) changes() <-chan struct{} {
	if v.master == nil {
		return nil
	}
	return v.master.Changed()
}

// note keeps what came of a record.
func (v *served) note(record role.Role, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = ""
	if err != nil && v.record.Revision != record.Revision {
		return // it was interrupted, or is overtaken
	}
	if err == nil {
		v.seen, v.reason, v.failed, v.wait = record.Revision, "", 0, 0
		return
	}
	v.s.n.opts.Logger.Warn("a service is not as it should be", "role", v.name, "err", err)
	v.seen, v.reason, v.failed = record.Revision, err.Error(), record.Revision
	v.wait = min(retryMost, max(retryFirst, 2*v.wait))
	v.again = time.Now().Add(v.wait)
}

// at says what run is at, for the status.
func (v *served) at(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = what
}

// apply makes the node do what the record says. It is called again whenever something has changed.
func (v *served) apply(ctx context.Context, r role.Role) error {
	if !r.Wants(v.s.n.ID(), v.s.host) || r.State == role.Stopped || r.State == role.Failed {
		v.shut("draining")
		return nil
	}
	if v.master == nil {
		if err := v.open(); err != nil {
			return err
		}
	}
	if v.adopted {
		if err := v.catchUp(ctx); err != nil {
			return err
		}
	}
	if v.level == nil || *v.level != r.LogLevel {
		v.master.SetLogLevel(r.LogLevel)
		v.level = &r.LogLevel
	}
	if undone, why := v.undone(); undone.Number > 0 {
		if err := v.s.store.TakeBack(ctx, v.name, undone.Number, v.told(fault.Text(fault.Lost, "", "", why))); err != nil {
			return err
		}
		var err error
		if r, err = v.s.store.Get(ctx, v.name); err != nil {
			return err
		}
	}
	if r.State == role.Paused {
		return v.pause(ctx, r)
	}
	if err := v.resume(ctx); err != nil {
		return err
	}
	if !v.edition.SameCode(r.Now) || v.edition.Number == 0 {
		return v.deploy(ctx, r)
	}
	return v.adjust(ctx, r)
}

func (v *served) open() error {
	m, err := master.New(v.options())
	if err != nil {
		return err
	}
	v.level = nil
	v.mu.Lock()
	defer v.mu.Unlock()
	v.master, v.edition, v.before, v.generation, v.restarts = m, role.Edition{}, role.Edition{}, 0, v.record.Restarts
	v.unset, v.tried = 0, nil
	return nil
}

func (v *served) options() *master.Options {
	n := v.s.n
	return &master.Options{
		Name: v.name, Home: n.home.Dir(), Holders: &v.s.holders, Output: v.output, Logger: n.opts.Logger.With("role", v.name),
		Keeper: keeper.Options{Bus: v.bus, Runs: v.ran},
	}
}

// output stores what a process prints under the role's name.
func (v *served) output(id keeper.ID) (stdout, stderr io.WriteCloser) {
	v.mu.Lock()
	digest := v.record.Now.Digest
	v.mu.Unlock()
	out := logs.Line{Bundle: digest, Name: v.name, Worker: processName(v.name, id), Stream: "stdout"}
	errs := out
	errs.Stream = "stderr"
	return v.s.n.logs.Sink(out), v.s.n.logs.Sink(errs)
}

// bus lets a process answer requests to the role's name, and nothing else.
func (v *served) bus(id keeper.ID) *wire.Bus {
	n := v.s.n
	own := n.ID() + "_" + strings.ReplaceAll(processName(v.name, id), ".", "_")
	return &wire.Bus{
		URL: n.url, Public: n.key.Public().String(), Name: v.name, ID: own, Node: n.ID(),
		Ticket: n.key.Ticket(key.Claims{Role: key.RoleService, ID: own, Name: v.name, Expires: time.Now().Add(365 * 24 * time.Hour)}),
	}
}

// processName tells a role's processes apart in logs.
func processName(role string, id keeper.ID) string {
	return fmt.Sprintf("%s.%d.%d", role, id.Generation, id.Number)
}

// told adds where something was.
func (v *served) told(why error) error {
	return fault.New(fault.KindOf(why), "", "on node "+v.s.n.ID(), why)
}

// adjust makes what serves as many and as fresh as the record says.
func (v *served) adjust(ctx context.Context, r role.Role) error {
	v.mu.Lock()
	v.edition.Number = r.Now.Number // the same code may have come under another
	v.mu.Unlock()
	st := v.master.Status()
	if procs := r.Now.Spec.WithDefaults().Procs; st.Procs != procs {
		v.at("scaling")
		if err := v.master.Scale(ctx, procs); err != nil {
			return err
		}
	}
	if v.restarts != r.Restarts {
		v.at("restarting")
		if err := v.master.Restart(ctx); err != nil {
			return err
		}
		v.restarts = r.Restarts
	}
	if !st.Probation && st.Report == "" && !r.Now.Proven {
		return v.s.store.Prove(ctx, v.name, r.Now.Number)
	}
	return nil
}

// pause lets nobody accept; what connects waits.
func (v *served) pause(ctx context.Context, r role.Role) error {
	if v.edition.Number == 0 {
		return v.master.Prepare(ctx, r.Now.Spec)
	}
	if v.master.Status().Paused {
		return nil
	}
	v.at("pausing")
	return v.master.Pause(ctx)
}

func (v *served) resume(ctx context.Context) error {
	if !v.master.Status().Paused {
		return nil
	}
	v.at("resuming")
	return v.master.Resume(ctx)
}

// shut drains the processes and closes the sockets. Only the end of the node's context hurries it.
func (v *served) shut(busy string) {
	if v.master == nil {
		return
	}
	v.at(busy)
	if err := v.master.Close(v.s.n.ctx); err != nil {
		v.s.n.opts.Logger.Error("closing a service", "role", v.name, "err", err)
	}
	v.mu.Lock()
	v.master, v.edition, v.before = nil, role.Edition{}, role.Edition{}
	v.mu.Unlock()
	v.disown()
	v.release()
}
