package keeper

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/wire"
)

const (
	// leaveWithin is how long a process may take to end after it said that it
	// cannot serve, or has closed its line.
	leaveWithin = time.Second
	// unreadyDrain bounds the drain of a process that is not ready: it can have accepted, but
	// only a moment ago.
	unreadyDrain = time.Second
	// hearWithin bounds the wait for what a dead process has said and printed.
	hearWithin = 100 * time.Millisecond
)

// end says how a process ended.
type end struct {
	told     bool          // it was to leave
	ready    time.Duration // how long it was ready
	err      error         // why it ended, unless told
	hopeless bool          // another one would end as well
	killed   string        // why it had to be, although it was told
}

// life is one process from its start to the proof of its end. It belongs to the goroutine
// of its slot.
type life struct {
	s       *slot
	id      ID
	started time.Time
	child   *process.Process
	conn    *line.Conn
	seats   *seats
	talk    sync.WaitGroup // those who send and receive; awaited by finish
	sends   sync.WaitGroup // those who send
	sent    chan struct{}  // closed when the last message is
	heard   chan wire.FromProcess
	listens bool  // heard is not closed, as far as we know
	silence error // why heard was closed
	stdout  io.WriteCloser
	stderr  io.WriteCloser
	words   *words

	late     alarm // it should be ready
	deadline alarm // it should have left
	silent   bool  // its line has ended
	ready    time.Time
	end      end
	unproven bool // it may still run
}

// alarm is a timer that can tell its time. The zero value never goes off.
type alarm struct {
	at time.Time
	c  <-chan time.Time
}

func alarmAt(at time.Time) alarm {
	if at.IsZero() {
		return alarm{}
	}
	return alarm{at, time.After(time.Until(at))}
}

func alarmIn(d time.Duration) alarm { return alarmAt(time.Now().Add(d)) }

func newLife(s *slot) *life {
	l := &life{s: s, id: s.status.ID, words: &words{}}
	l.stdout, l.stderr = s.k.opts.Output(l.id)
	if l.stderr != nil {
		l.words.next = l.stderr
	}
	return l
}

// live starts a process and returns when it is gone.
func (s *slot) live() end {
	l := newLife(s)
	if err := l.start(); err != nil {
		closeAll(l.stdout, l.stderr)
		kind := fault.KindOf(err)
		hopeless := kind == fault.Invalid || kind == fault.NotFound || kind == fault.Denied
		s.failedToStart(l.id, err)
		return end{err: s.fault(kind, err), hopeless: hopeless}
	}
	return l.live()
}

// live returns when the process is gone.
func (l *life) live() end {
	killed := l.follow()
	l.finish(killed)
	l.ended()
	l.closeOutputs()
	return l.end
}

func (l *life) start() error {
	k, g := l.s.k, l.s.gen
	seats, err := newSeats(k.socketsOf(g.program))
	if err != nil {
		return err
	}
	spec := process.Spec{
		Path: g.program.Path, Args: g.program.Args, Dir: g.program.Dir,
		Env: g.program.environ(), Confine: g.program.Confine,
		Stderr: l.words, Control: true, ExtraFiles: seats.files,
	}
	if l.stdout != nil {
		spec.Stdout = l.stdout
	}
	order := wire.Start{
		Service: g.program.Service, Generation: g.number, Process: l.s.status.Number, Sockets: seats.sockets,
	}
	if m := g.program.Manners; m != (manners.Manners{}) {
		order.Manners = &m
	}
	order.Certificate = k.certificateOf(g)
	if k.opts.Bus != nil {
		order.Bus = k.opts.Bus(ID{g.number, l.s.status.Number})
	}
	k.mu.Lock()
	order.Share = &wire.Share{Processors: k.processorsLocked(g)}
	if to := k.logLocked(g); to != (wire.Log{}) {
		order.Log = &to
	}
	order.Settings, l.s.begun, l.s.taken, l.s.refused = g.settings.value, true, g.settings.number, ""
	k.mu.Unlock()
	child, err := process.Start(k.alive, spec)
	seats.started()
	if err != nil {
		seats.finish()
		return err
	}
	l.child, l.conn, l.seats, l.started = child, line.New(child.Control(), nil), seats, time.Now()
	l.began()
	l.s.set(func(st *ProcessStatus) {
		st.State, st.PID, st.Started, st.Open, st.Accepted, st.Live = Starting, child.PID(), l.started, 0, 0, false
		g.held = child.Held()
		l.s.senders = seats.senders
	})
	k.opts.Logger.Debug("serving process started", "generation", g.number, "process", order.Process, "pid", child.PID(), "held to", child.Held())
	l.late = alarmIn(l.startWithin())
	l.say(wire.ToProcess{Start: &order})
	l.listen()
	return nil
}

// follow returns when the process has ended, with "", or has to be killed, and why.
func (l *life) follow() (killed string) {
	var refused *standstill // one that cannot have this process
	for {
		stop, heard := l.s.stopped, l.heard
		if l.end.told {
			stop = nil
		}
		if l.silent {
			heard = nil
		}
		h := l.s.k.nextStandstill()
		begun, over := h.begun, (<-chan struct{})(nil)
		if h == refused {
			begun, over = nil, h.over
		}
		select {
		case m, ok := <-heard:
			l.hearOrNot(m, ok)
		case n := <-l.s.share:
			l.takeShare(n)
		case to := <-l.s.log:
			l.takeLog(to)
		case o := <-l.s.orders:
			l.takeSettings(o)
		case <-stop:
			l.late = alarm{}
			l.deadline = alarmIn(l.drain())
		case <-l.late.c:
			l.end.hopeless = true
			return "it was not ready within " + l.startWithin().String()
		case <-l.deadline.c:
			if l.end.told {
				return "it did not leave in time"
			}
			return "its line to the keeper ended"
		case <-l.s.k.alive.Done():
			l.end.told = true
			return "its keeper ends"
		case <-l.child.Done():
			return ""
		case <-begun:
			if !l.standStill(h) {
				refused = h
			}
		case <-over:
		}
	}
}

// hearOrNot takes what comes from the line; ok is false when that has ended.
func (l *life) hearOrNot(m wire.FromProcess, ok bool) {
	if !ok {
		l.silent = true
	}
	l.hear(m)
	if !ok || m.Failed != nil || m.Ready != nil {
		l.late = alarm{}
	}
	if (!ok || m.Failed != nil) && l.deadline.c == nil {
		l.deadline = alarmIn(leaveWithin)
	}
}

// hear takes one message of a living process.
func (l *life) hear(m wire.FromProcess) {
	switch {
	case m.Ready != nil && l.ready.IsZero():
		l.ready = time.Now()
		l.s.set(func(st *ProcessStatus) {
			if st.State == Starting {
				st.State = Ready
			}
			st.Live = m.Ready.Live
		})
	case m.Stats != nil:
		l.s.set(func(st *ProcessStatus) { st.Open, st.Accepted = m.Stats.Open, m.Stats.Accepted })
	case m.Took != nil:
		l.s.set(func(*ProcessStatus) { l.s.tookLocked(m.Took) })
	default:
		l.hearFailed(m)
	}
}

func (l *life) hearFailed(m wire.FromProcess) {
	if m.Failed != nil {
		said := fault.Text(fault.ParseKind(m.Failed.Kind), "", "", shown([]byte(m.Failed.Reason)))
		l.end.err, l.end.hopeless = l.s.fault(fault.Remote, said), true
	}
}

// startWithin is how long it may take to be ready.
func (l *life) startWithin() time.Duration {
	return cmp.Or(l.s.gen.program.StartWithin, l.s.k.opts.StartWithin)
}

// drain tells the process to leave and returns after how long it is killed.
func (l *life) drain() time.Duration {
	within := cmp.Or(l.s.gen.program.DrainWithin, l.s.k.opts.DrainWithin)
	if l.ready.IsZero() {
		within = min(within, unreadyDrain)
	}
	l.end.told = true
	l.s.set(func(st *ProcessStatus) { st.State = Draining })
	l.say(wire.ToProcess{Drain: &wire.Drain{WithinMS: max(1, within.Milliseconds())}})
	// It ends what is open itself when its time is over, and needs a moment for that.
	return within + min(within, time.Second)
}

// finish sees the process and its group gone, hears its last words and says how it ended.
func (l *life) finish(killed string) {
	k, log := l.s.k, l.s.k.opts.Logger.With("generation", l.s.gen.number, "process", l.s.status.Number, "pid", l.child.PID())
	if err := l.child.Kill(); err != nil {
		log.Error("cannot prove that a serving process is gone", "err", err)
		l.unproven = true
		k.mu.Lock()
		k.unproven = append(k.unproven, err)
		k.mu.Unlock()
	}
	if !l.ready.IsZero() {
		l.end.ready = time.Since(l.ready)
	}
	if l.conn != nil { // nil if the line had ended before a handover
		l.child.Control().SetDeadline(time.Now().Add(hearWithin))
		for m := range l.heard {
			l.hearFailed(m) // it cannot become ready any more
		}
		l.conn.Close()
	}
	l.talk.Wait()
	l.seats.finish()
	select {
	case <-l.child.Done():
	case <-time.After(hearWithin):
	}
	switch {
	case l.end.told && killed != "":
		l.end.killed = killed
		log.Warn("killed a serving process", "reason", killed)
	case l.end.told:
		log.Debug("serving process left")
	case l.end.err != nil: // it said why
	case killed != "":
		kind := fault.Lost
		if l.ready.IsZero() && l.end.hopeless {
			kind = fault.Deadline
		}
		l.end.err = l.s.fault(kind, l.reason(killed))
	default:
		l.end.err = l.left()
	}
}

// left is why it ended without having been told to.
func (l *life) left() error {
	exit := l.child.Exit()
	if exit.Code != 0 || !l.ready.IsZero() {
		return l.s.fault(fault.Lost, l.reason(exit.Reason))
	}
	return fault.New(fault.Lost, "", fmt.Sprintf("process %d", l.s.status.Number), l.reason("it ended before it was ready")).
		WithHint("a service's main function is become.Serve; become run is for other programs")
}

// reason adds what the process printed last, unless a limit says it all.
func (l *life) reason(why string) error {
	const crashed = 2 // exit status of a Go program
	exit := l.child.Exit()
	if last := l.words.last(exit.Code == crashed); last != "" && exit.Limit == "" {
		return fmt.Errorf("%s: %s", why, last)
	}
	return errors.New(why)
}

// fault is an error about the slot's process.
func (s *slot) fault(kind fault.Kind, err error) error {
	return fault.New(kind, "", fmt.Sprintf("process %d", s.status.Number), err)
}

// closeOutputs closes the writers when nothing is written to them any more.
func (l *life) closeOutputs() {
	select {
	case <-l.child.Done():
		closeAll(l.stdout, l.stderr)
		return
	default:
	}
	if !l.unproven { // somebody writes for long, and the successor need not wait for that
		l.s.k.wg.Go(func() {
			<-l.child.Done()
			closeAll(l.stdout, l.stderr)
		})
	}
}

func closeAll(all ...io.WriteCloser) {
	for _, c := range all {
		if c != nil {
			c.Close()
		}
	}
}
