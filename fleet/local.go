package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/worker"
)

// LocalDigest is the digest of the one bundle of a local fleet.
const LocalDigest = "local"

// Local returns a fleet that is this process alone: its bus is in memory, its
// one worker runs here. A function that does not stop when it should cannot be killed in it, and
// jobs are gone with the process.
func Local(ctx context.Context, e engine.Engine, logger *slog.Logger) (*Fleet, error) {
	b := mem.New().Connect()
	l := &local{endpoint: roster.Endpoint{
		Worker: "local", Node: "local", PID: os.Getpid(), Slots: runtime.NumCPU(), Token: make([]byte, 32),
	}}
	rand.Read(l.endpoint.Token)
	f, err := New(ctx, Parts{Bus: b, Dial: l.dial, Logger: logger})
	if err != nil {
		b.Close()
		return nil, err
	}
	l.worker = worker.New(worker.Options{ID: "local", Engine: e, Values: f.values, Logger: logger})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	sub, err := b.Subscribe(roster.SubjectWant, "", func(m bus.Message) { l.offer(b, m) })
	if err != nil {
		f.Close()
		return nil, err
	}
	stores := f.jobs.stores
	for _, class := range []queue.Class{queue.Normal, queue.Solo} {
		l.wg.Go(func() {
			err := l.worker.RunJobs(l.ctx, worker.JobOptions{
				Digest: LocalDigest, Class: class, Node: "local", PID: os.Getpid(), Bus: b,
				Queue: stores.Jobs, Results: stores.Results, Dead: stores.Dead, Tombs: stores.Tombs,
			})
			if err != nil && l.ctx.Err() == nil && logger != nil {
				logger.Warn("cannot run jobs", "err", err)
			}
		})
	}
	f.OnClose(func() {
		sub.Unsubscribe()
		l.cancel()
		l.worker.Close()
		l.wg.Wait()
		b.Close()
	})
	return f, nil
}

// local is the node of a fleet of one process.
type local struct {
	worker   *worker.Worker
	endpoint roster.Endpoint
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

func (l *local) offer(b bus.Bus, m bus.Message) {
	var want roster.Want
	if json.Unmarshal(m.Data, &want) != nil {
		return
	}
	o := roster.Offer{Node: "local", Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if want.Digest == LocalDigest {
		to := l.endpoint
		to.Solo = want.Solo
		if want.Solo {
			to.Worker += "-solo"
		}
		o.Workers = []roster.Endpoint{to}
	} else {
		o.Refused, o.Kind = "this fleet is one process and runs nothing but its own functions; start a node with: become up", "not found"
	}
	if data, err := json.Marshal(o); err == nil {
		b.Publish(m.Reply, data)
	}
}

func (l *local) dial(context.Context, roster.Endpoint) (*line.Conn, error) {
	near, far := net.Pipe()
	l.wg.Go(func() { l.worker.ServeLine(l.ctx, line.New(far, nil)) })
	return line.New(near, nil), nil
}
