package fleet

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/worker"
)

// ConnectChild joins the fleet as the worker process that start describes,
// with no more rights than its ticket gives. While the bus is away it tries again, until ctx ends.
func ConnectChild(ctx context.Context, start control.Start, logger *slog.Logger) (*Fleet, error) {
	return patiently(ctx, func() (*Fleet, error) { return connectChild(ctx, start, logger) })
}

// ConnectService connects a process of a service to the bus alone, with no more rights than its ticket gives. While
// the bus is away it tries again, until ctx ends.
func ConnectService(ctx context.Context, s Service) (bus.Bus, error) {
	opts := &jet.Options{Name: s.Name + " " + s.ID, Ticket: s.Ticket, Public: s.Public, Logger: s.Logger}
	return patiently(ctx, func() (bus.Bus, error) { return jet.Connect(ctx, s.URL, opts) })
}

// Service is a process of a service that is at the bus: where that is, what to show there, the fleet's public key as text, the service's name
// and the process's own.
type Service struct {
	URL, Ticket, Public, Name, ID string
	Logger                        *slog.Logger
}

// LocateService finds the fleet as Locate does, for a service that runs alone; it has the rights of one.
func LocateService(opts *Options, name string) (Service, error) {
	url, k, err := Locate(opts)
	if err != nil {
		return Service{}, err
	}
	s := Service{URL: url, Name: name, ID: NewID(), Logger: opts.Logger}
	if k != nil {
		s.Public = k.Public().String()
		s.Ticket = k.Ticket(key.Claims{Role: key.RoleService, ID: s.ID, Name: name, Expires: time.Now().Add(365 * 24 * time.Hour)})
	}
	return s, nil
}

// patiently tries again while the bus is away.
func patiently[T any](ctx context.Context, connect func() (T, error)) (T, error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		f, err := connect()
		if kind := fault.KindOf(err); err == nil || kind != fault.Lost && kind != fault.Deadline && kind != fault.Busy {
			return f, err
		}
		select {
		case <-ctx.Done():
			return f, err
		case <-time.After(wait):
		}
	}
}

func connectChild(ctx context.Context, start control.Start, logger *slog.Logger) (*Fleet, error) {
	parts := Parts{ID: start.Worker, URL: start.Bus, Logger: logger}
	opts := &jet.Options{Name: start.Name, Ticket: start.Ticket, Public: start.Public, InboxPrefix: key.InboxOf(key.RoleWorker, start.Worker), Logger: logger}
	if start.Public != "" {
		public, err := key.ParsePublic(start.Public)
		if err != nil {
			return nil, err
		}
		parts.Verifier = public
		parts.Dial = Dialer(public, home.MachineID())
	}
	b, err := jet.Connect(ctx, start.Bus, opts)
	if err != nil {
		return nil, err
	}
	parts.Bus = b
	f, err := New(ctx, parts)
	if err != nil {
		b.Close()
		return nil, err
	}
	f.OnClose(func() { b.Close() })
	return f, nil
}

// RunJobs runs the bundle's jobs on w until ctx ends. A solo worker takes the
// jobs that are suspected of killing their process, every other one the rest.
func RunJobs(ctx context.Context, f *Fleet, start control.Start, w *worker.Worker) error {
	class := queue.Normal
	if start.Solo {
		class = queue.Solo
	}
	stores := f.Stores()
	return w.RunJobs(ctx, worker.JobOptions{
		Digest: start.Digest, Class: class, Node: start.Node, PID: os.Getpid(), Bus: f.Bus(),
		Queue: stores.Jobs, Results: stores.Results, Dead: stores.Dead, Tombs: stores.Tombs,
	})
}
