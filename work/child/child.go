package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/trace/otlp"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/worker"
)

// Host is the program that hosts the worker: it opens the engine, and joins the fleet for
// what is not calls.
type Host interface {
	// Open makes the engine of what the process is to become.
	Open(ctx context.Context, start control.Start) (engine.Engine, error)
	// Join connects to the fleet and runs w's jobs until ctx ends. ready, called at most once,
	// hands over the store of large values once there is one.
	Join(ctx context.Context, start control.Start, w *worker.Worker, ready func(worker.Values)) error
}

// Wanted reports whether this process was started by a node.
func Wanted() bool { return os.Getenv(control.Env) != "" }

// Run lives the worker's life on the inherited line and returns when the
// process is to leave. The error says why it could not do its work.
func Run(host Host) error {
	fd, err := strconv.Atoi(os.Getenv(control.Env))
	if err != nil {
		return fault.New(fault.Invalid, "read", control.Env, err)
	}
	os.Unsetenv(control.Env)
	nc, err := process.Inherited(fd)
	if err != nil {
		return err
	}
	c := &child{host: host, node: line.New(nc, nil)}
	defer c.node.Close()
	return c.run()
}

// child is one life.
type child struct {
	host   Host
	node   *line.Conn
	start  control.Start
	worker *worker.Worker
	values lateValues
	wg     sync.WaitGroup
}

func (c *child) run() error {
	first, err := c.hear()
	if err != nil {
		return err
	}
	if first.Start == nil {
		return fault.Text(fault.Invalid, "become", "", "the node's first message is no start")
	}
	c.start = *first.Start
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer c.traced()()

	e, err := c.host.Open(ctx, c.start)
	if err != nil {
		c.tell(control.FromChild{Failed: &control.Failed{Reason: err.Error()}})
		return err
	}
	c.values.ready = make(chan struct{})
	c.worker = worker.New(worker.Options{
		ID: c.start.Worker, Engine: e, Slots: c.start.Slots, Grace: time.Duration(c.start.GraceMS) * time.Millisecond,
		Values: &c.values, Leave: c.leave, Held: c.held, Logger: slog.Default(),
	})
	listeners, ready, err := c.listen()
	if err != nil {
		c.tell(control.FromChild{Failed: &control.Failed{Reason: err.Error()}})
		return err
	}
	for _, l := range listeners {
		c.wg.Go(func() { c.accept(ctx, l) })
	}
	jobs, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		if err := c.host.Join(jobs, c.start, c.worker, c.values.set); err != nil && jobs.Err() == nil {
			slog.Warn("this worker runs calls only: it cannot join the fleet", "err", err)
		}
	}()
	if c.start.Memory > 0 {
		go c.watchMemory(ctx, c.start.Memory)
	}
	go c.report(ctx)
	c.tell(control.FromChild{Ready: ready})

	c.obey(stopJobs, joined)
	for _, l := range listeners {
		l.Close()
	}
	return nil
}

// tracesWithin is how long the last spans may take to the collector: the node waits a second for who has done what it was told.
const tracesWithin = 800 * time.Millisecond

// traced lets the worker's spans go where the environment says, until the function that it returns is called.
func (c *child) traced() (end func()) {
	stop := otlp.Start(otlp.Options{
		Name: c.start.Name, Logger: slog.Default(),
		Attributes: map[string]string{"become.node": c.start.Node, "become.worker": c.start.Worker},
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracesWithin)
		defer cancel()
		stop(ctx)
	}
}

// obey follows the node's word until the line ends, or what it said to finish
// is finished.
func (c *child) obey(stopJobs func(), joined <-chan struct{}) {
	for {
		m, err := c.hear()
		if err != nil {
			return // the node is gone: nobody is left to work for
		}
		if m.Drain == nil {
			continue
		}
		within := time.Duration(m.Drain.WithinMS) * time.Millisecond
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			stopJobs()
			c.worker.Drain(ctx)
			select {
			case <-joined:
			case <-ctx.Done():
			}
			c.node.Close() // ends obey
		}()
	}
}

func (c *child) hear() (control.ToChild, error) {
	var m control.ToChild
	frame, err := c.node.Receive()
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(frame, &m)
}

func (c *child) tell(m control.FromChild) {
	if data, err := json.Marshal(m); err == nil {
		c.node.Send(data)
	}
}

func (c *child) leave(reason string) {
	c.tell(control.FromChild{Leave: &control.Leave{Reason: reason}})
}

func (c *child) held(tokens []string) {
	c.tell(control.FromChild{Held: &control.Held{Tokens: tokens}})
}

// report sends the counters when they have changed.
func (c *child) report(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var last control.Stats
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := c.worker.Stats()
		now := control.Stats{Running: s.Running, Done: s.Done, Failed: s.Failed, Lines: s.Lines, Jobs: c.worker.Jobs(100)}
		if now.Running != last.Running || now.Done != last.Done || now.Failed != last.Failed || now.Lines != last.Lines || !slices.Equal(now.Jobs, last.Jobs) {
			c.tell(control.FromChild{Stats: &now})
			last = now
		}
	}
}

func (c *child) listen() ([]net.Listener, *control.Ready, error) {
	ready := &control.Ready{PID: os.Getpid(), Slots: c.worker.Slots()}
	var all []net.Listener
	if c.start.Unix != "" {
		os.Remove(c.start.Unix)
		l, err := net.Listen("unix", c.start.Unix)
		if err != nil {
			return nil, nil, err
		}
		os.Chmod(c.start.Unix, 0o600)
		ready.Unix = c.start.Unix
		all = append(all, l)
	}
	if c.start.TCP != "" {
		l, err := listenTLS(c.start)
		if err != nil {
			return nil, nil, err
		}
		ready.TCP = l.Addr().String()
		all = append(all, l)
	}
	return all, ready, nil
}

// maxHandshakes bounds the peers that have not proven themselves yet.
const maxHandshakes = 256

func (c *child) accept(ctx context.Context, l net.Listener) {
	pending := make(chan struct{}, maxHandshakes)
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of descriptors: let some go
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case pending <- struct{}{}:
		default:
			nc.Close()
			continue
		}
		c.wg.Go(func() {
			conn, err := line.Server(ctx, nc, c.start.Token, nil)
			<-pending
			if err != nil {
				slog.Debug("refused a line", "err", err)
				return
			}
			if err := c.worker.ServeLine(ctx, conn); err != nil {
				slog.Warn("a boss broke the protocol", "err", err)
			}
		})
	}
}

// lateValues waits for the store of large values, which comes with the bus.
type lateValues struct {
	ready chan struct{}
	store worker.Values
}

func (v *lateValues) set(s worker.Values) {
	v.store = s
	close(v.ready)
}

func (v *lateValues) wait(ctx context.Context) (worker.Values, error) {
	select {
	case <-v.ready:
		return v.store, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Lost, "reach the store of large values", "", context.Cause(ctx))
	case <-time.After(30 * time.Second):
		return nil, fault.Text(fault.Lost, "reach the store of large values", "", "the bus is away")
	}
}

// Load returns a value by its name.
func (v *lateValues) Load(ctx context.Context, name string) ([]byte, error) {
	s, err := v.wait(ctx)
	if err != nil {
		return nil, err
	}
	return s.Load(ctx, name)
}

// Store keeps a value and returns its name.
func (v *lateValues) Store(ctx context.Context, value []byte) (string, error) {
	s, err := v.wait(ctx)
	if err != nil {
		return "", err
	}
	return s.Store(ctx, value)
}

func memoryReason(limit int64) string {
	return fmt.Sprintf("memory above its limit of %d MiB", limit>>20)
}
