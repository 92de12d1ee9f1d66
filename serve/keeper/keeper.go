package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/wire"
)

const (
	// MaxProcs is the most processes that one keeper has in a generation.
	MaxProcs = 1024

	maxSettings = 512 << 10 // bytes; a frame holds them, escaped too
	historyKept = 10
)

// Socket is an open socket that the processes inherit.
type Socket struct {
	wire.Socket
	// File stays the caller's, to be closed after Close. A socket with a Route needs none: no process
	// inherits it, see Seats.
	File *os.File
}

// Program is what serves: one version of it.
type Program struct {
	// Path is the executable; it must stay as it is for as long as the program serves or
	// can be rolled back to.
	Path string
	Args []string
	// Env is the whole environment; wire.Env is added.
	Env []string
	// Dir is the working directory. Default: the keeper's.
	Dir string
	// Label is what people call it, see Run.
	Label string `json:",omitempty"`
	// Service and Settings are as in wire.Start.
	Service  string
	Settings json.RawMessage
	// Manners go before the program's own. Default: it has its own.
	Manners manners.Manners
	// Log is how it logs, unless SetLogLevel says another level. Default: see wire.Log.
	Log wire.Log
	// Certificate is what it shows on sockets with TLS. Default: there are none. Restart and Rollback load it again.
	Certificate *cert.Pair
	// Sockets are what it serves on. Default: those given to New. They must stay open for as long
	// as the program serves or can be rolled back to.
	Sockets []Socket
	// StartWithin, DrainWithin and Probation go before those of Options.
	StartWithin, DrainWithin, Probation time.Duration
	// Confine is what each process may use and reach. Default: as much as the keeper. With a limit of memory
	// GOMEMLIMIT is added to Env, unless it is there: nine tenths of it, so that a Go program
	// collects its garbage before it is killed for it.
	Confine confine.Rules
}

func (p Program) clone() Program {
	p.Args, p.Env, p.Settings = slices.Clone(p.Args), slices.Clone(p.Env), slices.Clone(p.Settings)
	p.Sockets, p.Confine = slices.Clone(p.Sockets), p.Confine.Clone()
	return p
}

func (p Program) check() error {
	switch {
	case p.Path == "":
		return errors.New("the program has no path")
	case len(p.Settings) > maxSettings:
		return fmt.Errorf("%d bytes of settings, the limit is %d", len(p.Settings), maxSettings)
	case len(p.Settings) > 0 && !json.Valid(p.Settings):
		return errors.New("the settings are not JSON")
	}
	if err := checkSockets(p.Sockets); err != nil {
		return err
	}
	return p.Confine.Check()
}

// environ is the environment of a process.
func (p Program) environ() []string {
	env := append(slices.Clone(p.Env), wire.Env+"=3")
	isSet := func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") }
	if limit := p.Confine.Limits.Memory; limit > 0 && !slices.ContainsFunc(env, isSet) {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(limit/10*9, 10))
	}
	return env
}

func checkSockets(all []Socket) error {
	for i, s := range all {
		if s.File == nil && s.Route == "" {
			return fmt.Errorf("socket %d has no file", i)
		}
	}
	return nil
}

// generation is one version under the keeper's name.
type generation struct {
	number      uint64
	program     Program
	certificate *cert.Pair // the program's, or what came after it; guarded by the keeper's mu
	settings    settings   // likewise
	trial       *trial
	held        []string // see Status; guarded by the keeper's mu
	procs       int      // it should have; 0 after a handover: the keeper's
}

// Keeper keeps sockets and the processes that serve on them. Its methods may be called
// by many goroutines. Each slot has a goroutine that keeps one process; mu guards what all
// of them and the operations share.
type Keeper struct {
	sockets []Socket
	opts    Options

	ops   chan struct{} // holds an item while an operation is under way
	wg    sync.WaitGroup
	open  context.Context // ends when Close begins
	shut  context.CancelFunc
	alive context.Context // ends when nothing is waited for any more
	kill  context.CancelFunc

	mu         sync.Mutex
	changed    chan struct{} // see Changed
	closed     bool
	last       uint64             // number of the newest generation
	current    *generation        // that serves; nil before the first
	serving    []*slot            // its slots, by number; none while paused
	slots      map[*slot]struct{} // all whose goroutine runs, those that drain too
	logLevel   string             // of SetLogLevel
	history    []Program          // what stood here before, oldest first
	procs      int
	paused     bool
	report     string
	unproven   []error                 // processes that were killed and not seen gone
	doing      string                  // the operation under way
	watched    *probation              // nil when there is none
	standstill *standstill             // the next one, or that under way
	orders     uint64                  // counts settings that processes were told
	waiting    int                     // operations
	overtake   context.CancelCauseFunc // ends the newest change of settings that was asked for; nil before the first
	owed       uint64                  // number of settings that were ordered back, and maybe not all have taken; 0 for none
	trying     *trying                 // settings that can still be taken back; nil for none
	undone     uint64                  // counts those that were
}

// New returns a keeper without processes. The sockets are those of programs that bring none of their
// own. fault.Invalid when a socket has no file.
func New(sockets []Socket, opts *Options) (*Keeper, error) {
	if err := checkSockets(sockets); err != nil {
		return nil, fault.New(fault.Invalid, "keep sockets", "", err)
	}
	k := &Keeper{
		sockets: slices.Clone(sockets), opts: opts.withDefaults(),
		ops: make(chan struct{}, 1), changed: make(chan struct{}), slots: map[*slot]struct{}{},
		standstill: newStandstill(),
	}
	k.open, k.shut = context.WithCancel(context.Background())
	k.alive, k.kill = context.WithCancel(context.Background())
	return k, nil
}

// Close tells all processes to drain and returns when they are gone. When ctx ends they are
// killed at once. Operations under way fail. An error lists processes that could
// not be seen gone. The sockets stay open.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.shut()
	for s := range k.slots {
		s.stop()
	}
	k.changeLocked()
	k.mu.Unlock()
	defer context.AfterFunc(ctx, k.kill)()
	k.wg.Wait()
	k.kill()
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.unproven...)
}

// begin waits for the other operations to end. The caller calls the function it gets
// when it has done its own.
func (k *Keeper) begin(ctx context.Context, op string) (end func(), err error) {
	select {
	case <-k.open.Done(): // never by chance one more
		return nil, closing(op)
	default:
	}
	k.wait(1)
	defer k.wait(-1)
	select {
	case k.ops <- struct{}{}:
		k.does(op)
		return func() { k.does(""); <-k.ops }, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), op, "", context.Cause(ctx))
	case <-k.open.Done():
		return nil, closing(op)
	}
}

// wait counts an operation that waits for another.
func (k *Keeper) wait(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting += n; k.owed > 0 {
		k.changeLocked() // see isAwaited
	}
}

func (k *Keeper) does(op string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doing = op
}

var errClosing = errors.New("the keeper is closing")

func closing(op string) error { return fault.New(fault.Canceled, op, "", errClosing) }

// until waits until f, which is called with mu held, answers true or an error.
func (k *Keeper) until(ctx context.Context, f func() (bool, error)) error {
	for {
		k.mu.Lock()
		ok, err := false, error(nil)
		if k.closed { // then there may be nothing to wait for
			err = fault.New(fault.Canceled, "", "", errClosing)
		} else {
			ok, err = f()
		}
		changed := k.changed
		k.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.New(fault.KindOf(ctx.Err()), "", "", context.Cause(ctx))
		}
	}
}

// startLocked starts the keeping of processes first to last of a generation.
func (k *Keeper) startLocked(g *generation, t *trial, first, last int) []*slot {
	var out []*slot
	if k.closed {
		return nil
	}
	for n := first; n <= last; n++ {
		s := newSlot(k, g, t, n)
		k.slots[s] = struct{}{}
		k.wg.Go(s.run)
		out = append(out, s)
	}
	k.changeLocked()
	return out
}

// readyLocked reports whether all of the slots serve, or why they will not.
func readyLocked(slots []*slot, t *trial) (bool, error) {
	if t.err != nil {
		return false, t.err
	}
	for _, s := range slots {
		if s.status.State != Ready {
			return false, nil
		}
	}
	return true, nil
}

// socketsOf are what a program serves on.
func (k *Keeper) socketsOf(p Program) []Socket {
	if p.Sockets != nil {
		return p.Sockets
	}
	return k.sockets
}

func stopAll(slots []*slot) {
	for _, s := range slots {
		s.stop()
	}
}
