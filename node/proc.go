package node

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/roster"
)

type state string

const (
	stateStarting state = "starting"
	stateReady    state = "ready"
	stateDraining state = "draining"
	stateEnded    state = "ended"
)

// startWithin is how long a process may take to be ready.
const startWithin = 20 * time.Second

// drainWithin is how long the tasks of a process that has to go may go on.
const drainWithin = 30 * time.Second

// proc is one worker process. What p.mu guards is said; the rest belongs to
// the goroutine in live.
type proc struct {
	p       *pool
	id      string
	token   []byte
	sock    string
	drained chan string // the reason, to the goroutine in live; capacity 1

	// Guarded by p.mu.
	state    state
	endpoint roster.Endpoint
	stats    control.Stats
	started  time.Time
	pid      int
	died     bool   // it went without being told to
	refused  bool   // it said that it cannot do its work
	reason   string // why it went

	held []string // newest leases; of the goroutine in live
}

func newProc(p *pool) *proc {
	pr := &proc{p: p, id: fleet.NewID()[:10], token: make([]byte, 32), drained: make(chan string, 1), state: stateStarting, started: time.Now()}
	rand.Read(pr.token)
	return pr
}

// drain tells the process to finish and go.
func (pr *proc) drain(why string) {
	select {
	case pr.drained <- why:
	default:
	}
}

func (pr *proc) set(f func()) {
	pr.p.mu.Lock()
	defer pr.p.mu.Unlock()
	f()
}

// live starts the process and returns when it is gone.
func (pr *proc) live() {
	n := pr.p.n
	log := n.opts.Logger.With("bundle", pr.p.m.Name, "worker", pr.id)
	err := pr.become()
	pr.set(func() {
		if err != nil {
			pr.died, pr.reason = true, err.Error()
		}
		pr.state = stateEnded
	})
	down := roster.Down{Worker: pr.id, Reason: pr.reason, Died: pr.died}
	if data, err := json.Marshal(down); err == nil {
		n.bus.Publish(roster.SubjectDown+pr.p.key.digest, data)
	}
	if pr.died {
		log.Warn("worker process died", "pid", pr.pid, "reason", pr.reason)
	} else {
		log.Debug("worker process ended", "pid", pr.pid, "reason", pr.reason)
	}
}

// become fetches the code, starts the process and follows its life.
func (pr *proc) become() error {
	n := pr.p.n
	path, _, release, err := n.cache.Path(n.ctx, pr.p.key.digest, n.store)
	if err != nil {
		return err
	}
	defer release()
	start := pr.start(path)
	if n.lineTCP != "" {
		host, _, _ := net.SplitHostPort(n.lineTCP)
		start.TCP = n.lineTCP
		if start.CertPEM, start.KeyPEM, err = n.key.Certificate(host); err != nil {
			return err
		}
	}
	executable := path
	if pr.p.m.Kind != bundle.Native {
		if executable, err = n.hostProgram(); err != nil {
			return err
		}
	}
	base := logs.Line{Bundle: pr.p.key.digest, Name: pr.p.m.Name, Worker: pr.id}
	out, errs := base, base
	out.Stream, errs.Stream = "stdout", "stderr"
	stdout, stderr := n.logs.Sink(out), n.logs.Sink(errs)
	defer stdout.Close()
	defer stderr.Close()
	child, err := process.Start(n.ctx, process.Spec{
		Path: executable, Env: append(environ(), control.Env+"=3"), Dir: n.home.Dir(),
		Stdout: stdout, Stderr: stderr, Control: true,
	})
	if err != nil {
		return err
	}
	defer os.Remove(pr.sock)
	pr.set(func() { pr.pid = child.PID() })
	pr.follow(child, start)
	return nil
}

func (n *Node) hostProgram() (string, error) {
	if n.opts.Host != "" {
		return n.opts.Host, nil
	}
	return os.Executable()
}

// start is what the process is told to become.
func (pr *proc) start(path string) control.Start {
	n := pr.p.n
	pr.sock = filepath.Join(n.home.Run(), pr.id)
	s := control.Start{
		Worker: pr.id, Node: n.ID(), Digest: pr.p.key.digest, Name: pr.p.m.Name, Kind: pr.p.m.Kind, Source: path,
		Slots: n.opts.Slots, Solo: pr.p.key.solo, Unix: pr.sock, Token: pr.token,
		Bus: n.url, Public: n.key.Public().String(), GraceMS: n.opts.Grace.Milliseconds(),
		Ticket: n.key.Ticket(key.Claims{Role: key.RoleWorker, ID: pr.id, Digest: pr.p.key.digest, Expires: time.Now().Add(365 * 24 * time.Hour)}),
	}
	if pr.p.key.solo {
		s.Slots = 1
	}
	if pr.p.m.Kind != bundle.Native {
		s.Memory = n.opts.Memory
	}
	return s
}

// follow talks to the process until it is gone, for whatever reason.
func (pr *proc) follow(child *process.Process, start control.Start) {
	conn := line.New(child.Control(), nil)
	defer conn.Close()
	if data, err := json.Marshal(control.ToChild{Start: &start}); err == nil {
		conn.Send(data)
	}
	e := &ear{heard: make(chan control.FromChild), deaf: make(chan struct{}), stop: make(chan struct{})}
	go e.listen(conn)
	defer func() { close(e.stop); conn.Close(); <-e.deaf }()

	late := time.NewTimer(startWithin)
	defer late.Stop()
	var deadline <-chan time.Time
	quit := pr.p.n.ctx.Done()
	for {
		select {
		case m := <-e.heard:
			if reason := pr.hear(m, child, late); reason != "" {
				pr.end(child, e, reason, true)
				return
			}
		case why := <-pr.drained:
			pr.set(func() { pr.state, pr.reason = stateDraining, why })
			within := pr.drainTime()
			if data, err := json.Marshal(control.ToChild{Drain: &control.Drain{WithinMS: within.Milliseconds()}}); err == nil {
				conn.Send(data)
			}
			deadline = time.After(within + time.Second)
		case <-deadline:
			pr.end(child, e, "it did not finish in time", false)
			return
		case <-late.C:
			pr.end(child, e, "it was not ready within "+startWithin.String(), true)
			return
		case <-quit:
			pr.end(child, e, "its node is stopping", false)
			return
		case <-child.Done():
			pr.end(child, e, "", true)
			return
		}
	}
}

// drainTime is short when the whole node goes.
func (pr *proc) drainTime() time.Duration {
	pr.p.n.mu.Lock()
	defer pr.p.n.mu.Unlock()
	if pr.p.n.stopping {
		return 2 * time.Second
	}
	if pr.p.n.resting {
		return restWithin
	}
	return drainWithin
}

// ear hands on what a process says.
type ear struct {
	heard chan control.FromChild
	deaf  chan struct{} // closed when the line has ended, and all that came was handed on
	stop  chan struct{} // closed when nobody wants to hear any more
}

func (e *ear) listen(conn *line.Conn) {
	defer close(e.deaf)
	for {
		frame, err := conn.Receive()
		if err != nil {
			return
		}
		var m control.FromChild
		if json.Unmarshal(frame, &m) != nil {
			return
		}
		select {
		case e.heard <- m:
		case <-e.stop:
			return
		}
	}
}

// hear takes one message; a non-empty answer says why the process must go.
func (pr *proc) hear(m control.FromChild, child *process.Process, late *time.Timer) string {
	switch {
	case m.Ready != nil:
		late.Stop()
		to := roster.Endpoint{
			Worker: pr.id, Node: pr.p.n.ID(), PID: child.PID(), Slots: m.Ready.Slots, Solo: pr.p.key.solo,
			Machine: pr.p.n.machine, Unix: m.Ready.Unix, TCP: reachable(m.Ready.TCP), Token: pr.token,
		}
		pr.set(func() {
			if pr.state == stateStarting {
				pr.state = stateReady
			}
			pr.endpoint = to
		})
		if data, err := json.Marshal(to); err == nil {
			pr.p.n.bus.Publish(roster.SubjectUp+pr.p.key.digest, data)
		}
	case m.Stats != nil:
		pr.set(func() { pr.stats = *m.Stats })
	default:
		return pr.note(m)
	}
	return ""
}

// note takes what matters of a process that is gone as well.
func (pr *proc) note(m control.FromChild) (reason string) {
	switch {
	case m.Held != nil:
		pr.held = append(pr.held, m.Held.Tokens...)
		if extra := len(pr.held) - control.HeldMost; extra > 0 {
			pr.held = append(pr.held[:0], pr.held[extra:]...)
		}
	case m.Failed != nil:
		pr.set(func() { pr.refused = true })
		return m.Failed.Reason
	case m.Leave != nil:
		return "killed: " + m.Leave.Reason
	}
	return ""
}

// lastWords takes what a process said before it went: its death is often heard of sooner.
func (pr *proc) lastWords(e *ear) (reason string) {
	late := time.NewTimer(time.Second) // should anybody outside of its group have its end of the line
	defer late.Stop()
	for {
		select {
		case m := <-e.heard:
			if r := pr.note(m); r != "" {
				reason = r
			}
		case <-e.deaf:
			return reason
		case <-late.C:
			return reason
		}
	}
}

// end makes sure that the whole process group is gone and says why it went.
func (pr *proc) end(child *process.Process, e *ear, reason string, died bool) {
	if err := child.Kill(); err != nil {
		pr.p.n.opts.Logger.Error("cannot prove that a worker process is gone", "pid", child.PID(), "err", err)
	}
	said := pr.lastWords(e)
	if reason == "" {
		reason = said
	}
	if reason == "" {
		reason = child.Exit().Reason
	}
	pr.set(func() {
		if pr.state == stateDraining { // it was told to go
			died = false
			reason = pr.reason
		}
		pr.died, pr.reason = died, reason
	})
	pr.giveBack()
}

// giveBack ends the leases that the process can have had. Those that it ended
// itself are no matter.
func (pr *proc) giveBack() {
	for _, token := range pr.held {
		pr.p.n.stores.Jobs.GiveBack(token)
	}
}

// reachable gives an address that others can dial: a wildcard is none.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			return net.JoinHostPort(name, port)
		}
	}
	return addr
}

func (pr *proc) statusLocked() roster.ProcessStatus {
	s := roster.ProcessStatus{
		Worker: pr.id, PID: pr.pid, Bundle: pr.p.key.digest, Name: pr.p.m.Name, Kind: pr.p.m.Kind,
		State: string(pr.state), Reason: pr.reason, Started: pr.started, Slots: pr.endpoint.Slots,
		Running: pr.stats.Running, Done: pr.stats.Done, Failed: pr.stats.Failed, Lines: pr.stats.Lines, Jobs: pr.stats.Jobs,
		Restarts: pr.p.restarts, Solo: pr.p.key.solo,
	}
	if pr.pid > 0 {
		if rss, cpu, err := process.Usage(pr.pid); err == nil {
			s.RSS, s.CPU = rss, cpu.Seconds()
		}
	}
	return s
}
