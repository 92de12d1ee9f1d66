package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/worker"
)

// LocalDigest is the digest of the program itself in a local fleet.
const LocalDigest = "local"

// Opener makes the engine of a deployed bundle in this process.
type Opener func(m bundle.Manifest, source []byte) (engine.Engine, error)

// Local returns a fleet that is this process alone: its bus is in memory, its
// workers run here, one per bundle. A function that does not stop when it should cannot be
// killed in it, and jobs are gone with the process. open runs what is deployed beside the
// program's own functions; nil: nothing is.
func Local(ctx context.Context, e engine.Engine, open Opener, logger *slog.Logger) (*Fleet, error) {
	b := mem.New().Connect()
	k := key.New()
	l := &local{bus: b, open: open, logger: logger, token: make([]byte, 32), workers: map[string]*worker.Worker{}}
	rand.Read(l.token)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	f, err := New(ctx, Parts{Bus: b, Signer: k, Verifier: k.Public(), Dial: l.dial, Logger: logger})
	if err != nil {
		b.Close()
		return nil, err
	}
	l.f = f
	f.OnClose(l.close)
	l.hireLocked(LocalDigest, e)
	for subject, hear := range map[string]func(bus.Message){roster.SubjectWant: l.wanted, roster.SubjectWake: l.woken} {
		if _, err := b.Subscribe(ctx, subject, "", hear); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// local is the node of a fleet of one process.
type local struct {
	f      *Fleet
	bus    bus.Bus
	open   Opener
	logger *slog.Logger
	token  []byte
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	wg      sync.WaitGroup // nothing is added once closed
	workers map[string]*worker.Worker
}

func (l *local) close() {
	l.mu.Lock()
	l.closed = true
	workers := l.workers
	l.mu.Unlock()
	l.cancel()
	for _, w := range workers {
		w.Close()
	}
	l.wg.Wait()
	l.bus.Close()
}

// do runs g on a goroutine that close waits for, or not at all.
func (l *local) do(g func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wg.Go(g)
	}
}

// hireLocked starts the one worker of a bundle, which l.do has not begun or l.mu guards.
func (l *local) hireLocked(digest string, e engine.Engine) {
	w := worker.New(worker.Options{ID: workerID(digest), Engine: e, Values: l.f.values, Logger: l.logger})
	l.workers[digest] = w
	stores := l.f.jobs.stores
	for _, class := range []queue.Class{queue.Normal, queue.Solo} {
		l.wg.Go(func() {
			err := w.RunJobs(l.ctx, worker.JobOptions{
				Digest: digest, Class: class, Node: "local", PID: os.Getpid(), Bus: l.bus,
				Queue: stores.Jobs, Results: stores.Results, Dead: stores.Dead, Tombs: stores.Tombs,
			})
			if err != nil && l.ctx.Err() == nil {
				l.f.logger.Warn("cannot run jobs", "err", err)
			}
		})
	}
}

func workerID(digest string) string {
	if digest == LocalDigest {
		return "local"
	}
	return "local-" + digest
}

// hire makes sure that a bundle has a worker.
func (l *local) hire(digest string) error {
	l.mu.Lock()
	there := l.workers[digest] != nil
	l.mu.Unlock()
	if there {
		return nil
	}
	e, err := l.openBundle(digest)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.workers[digest] != nil {
		e.Close()
		return nil
	}
	l.hireLocked(digest, e)
	return nil
}

func (l *local) openBundle(digest string) (engine.Engine, error) {
	m, err := l.f.bundles.Manifest(l.ctx, digest)
	if err != nil {
		return nil, err
	}
	if l.open == nil || m.Kind == bundle.Native {
		return nil, fault.Text(fault.Invalid, "run bundle", m.Name, "this fleet is one process and runs nothing but its own functions").
			WithHint("start a node with: become up")
	}
	r, err := l.f.bundles.Open(l.ctx, digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	source, err := io.ReadAll(io.LimitReader(r, m.Size))
	if err != nil {
		return nil, err
	}
	return l.open(m, source)
}

// wanted answers a boss that looks for workers.
func (l *local) wanted(m bus.Message) {
	var want roster.Want
	if json.Unmarshal(m.Data, &want) != nil {
		return
	}
	l.do(func() {
		o := roster.Offer{Node: "local", Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if err := l.hire(want.Digest); err != nil {
			o.Refused, o.Kind = err.Error(), fault.KindOf(err).String()
		} else {
			to := roster.Endpoint{
				Worker: workerID(want.Digest), Node: "local", PID: os.Getpid(), Slots: runtime.NumCPU(), Token: l.token, Solo: want.Solo,
			}
			if want.Solo {
				to.Worker += soloSuffix
			}
			o.Workers = []roster.Endpoint{to}
		}
		if data, err := json.Marshal(o); err == nil {
			l.bus.Publish(m.Reply, data)
		}
	})
}

const soloSuffix = "-solo"

// woken hears that jobs of a bundle wait.
func (l *local) woken(m bus.Message) {
	l.do(func() {
		if err := l.hire(string(m.Data)); err != nil {
			l.f.logger.Warn("cannot run jobs", "err", err)
		}
	})
}

func (l *local) dial(_ context.Context, to roster.Endpoint) (*line.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for digest, w := range l.workers {
		if workerID(digest) != strings.TrimSuffix(to.Worker, soloSuffix) || l.closed {
			continue
		}
		near, far := net.Pipe()
		l.wg.Go(func() { w.ServeLine(l.ctx, line.New(far, nil)) })
		return line.New(near, nil), nil
	}
	return nil, fault.Text(fault.Lost, "open line to worker", to.Worker, "it is gone")
}
