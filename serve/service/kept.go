package service

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// statsEvery is the shortest time between two Stats.
const statsEvery = 250 * time.Millisecond

// Kept says whether a keeper started this process.
func Kept() bool { return os.Getenv(wire.Env) != "" }

// RunKept serves the one of services that the keeper of this process asks for, on the sockets that
// it passed, until the keeper or ctx says to drain. It takes the line and the sockets: it can
// be called once.
func RunKept(ctx context.Context, services []Service, opts *Options) error {
	const op = "serve for a keeper"
	text := os.Getenv(wire.Env)
	os.Unsetenv(wire.Env)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return fault.Text(fault.Invalid, op, "", fmt.Sprintf("%s is %q", wire.Env, text))
	}
	nc, err := process.Inherited(fd)
	if err != nil {
		return fault.New(fault.KindOf(err), op, "", err)
	}
	k := &kept{conn: line.New(nc, nil), orders: make(chan wire.Settings, 1)}
	defer k.conn.Close()
	err = k.serve(ctx, fd, services, opts.withDefaults())
	if err != nil && fault.KindOf(err) != fault.Deadline {
		k.say(wire.FromProcess{Failed: &wire.Failed{Reason: err.Error(), Kind: fault.KindOf(err).String()}})
	}
	k.conn.Flush()
	return err
}

// kept is a process's end of the line.
type kept struct {
	conn   *line.Conn
	within atomic.Int64       // of the drain, if the keeper said so
	orders chan wire.Settings // holds the newest that the service has had no time for
}

func (k *kept) say(m wire.FromProcess) {
	if data, err := json.Marshal(m); err == nil {
		k.conn.Send(data) // its end is heard by follow
	}
}

func (k *kept) hear() (m wire.ToProcess, err error) {
	data, err := k.conn.Receive()
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// begin waits for what the process is to become: nil if it is not wanted any more, before it began.
func (k *kept) begin() (*wire.Start, error) {
	first, err := k.hear()
	switch {
	case err != nil:
		return nil, fault.New(fault.Lost, "hear the keeper", "", err)
	case first.Start == nil && first.Drain == nil:
		return nil, fault.Text(fault.Invalid, "hear the keeper", "", "it did not begin with Start")
	}
	return first.Start, nil
}

// obey puts what the keeper orders before the program's own.
func (o *Options) obey(start *wire.Start) error {
	if start.Manners != nil {
		o.Manners = start.Manners.Over(o.Manners)
	}
	if start.Certificate != nil {
		identity, err := tls.X509KeyPair(start.Certificate.Cert, start.Certificate.Key)
		if err != nil {
			return fault.New(fault.Invalid, "use certificate", "", err)
		}
		o.Certificate = &identity
	}
	if start.Bus != nil {
		o.Bus = start.Bus
	}
	if start.Share != nil {
		takeShare(start.Share.Processors)
	}
	return nil
}

func (k *kept) serve(ctx context.Context, fd int, services []Service, o Options) error {
	start, err := k.begin()
	if start == nil || err != nil {
		return err
	}
	s, err := Pick(services, start.Service)
	if err != nil {
		return err
	}
	o.install(start.Log, s.Name)
	if err := o.obey(start); err != nil {
		return err
	}
	if err := s.configure(start.Settings); err != nil {
		return err
	}
	sockets, err := inheritAll(fd+1, start.Sockets)
	if err != nil {
		return err
	}
	if err := o.check(s, sockets); err != nil {
		return err
	}

	ctx, drain := context.WithCancel(ctx)
	ready := make(chan struct{})
	told := o.OnReady
	o.OnReady = func() { told(); close(ready) }
	r := newRun(s, sockets, o)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { k.tell(r, ready, over) })
	wg.Go(func() { k.reconfigure(ctx, s, ready) })
	go k.follow(drain, o.Logs) // ends with the line
	err = r.run(ctx, func() time.Duration { return k.time(o.DrainWithin) })
	drain()
	close(over)
	wg.Wait()
	return err
}

// inheritAll takes the sockets from the descriptor first on.
func inheritAll(first int, all []wire.Socket) (sockets []*socket.Socket, err error) {
	for i, w := range all {
		one, err := inherit(first+i, w)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, one)
	}
	if len(sockets) == 0 {
		return nil, fault.Text(fault.Invalid, "serve", "", "there is no socket")
	}
	return sockets, nil
}

// follow drains when the keeper says so or is no more.
func (k *kept) follow(drain func(), logs *slogs.Program) {
	defer drain()
	for {
		m, err := k.hear()
		if err != nil {
			return
		}
		if m.Share != nil {
			takeShare(m.Share.Processors)
		}
		if m.Log != nil && logs != nil {
			logs.SetLevel(levelOf(m.Log))
		}
		if m.Settings != nil {
			k.order(*m.Settings)
		}
		if m.Drain != nil {
			k.within.Store(max(1, m.Drain.WithinMS))
			drain()
		}
	}
}

// time returns how long the drain may take: a little less than the keeper says, so that
// the connections are closed and not killed.
func (k *kept) time(usual time.Duration) time.Duration {
	ms := k.within.Load()
	if ms == 0 {
		return usual
	}
	d := time.Duration(ms) * time.Millisecond
	return d - min(d/5, closeWithin)
}

// tell says that the service is ready, and from then on what it does.
func (k *kept) tell(r *run, ready, over <-chan struct{}) {
	select {
	case <-ready:
	case <-over:
		return
	}
	k.say(wire.FromProcess{Ready: &wire.Ready{Live: r.service.Reconfigure != nil}})
	for {
		select {
		case <-r.changed:
		case <-over:
			return
		}
		s := r.stats()
		k.say(wire.FromProcess{Stats: &s})
		select {
		case <-time.After(statsEvery):
		case <-over:
			return
		}
	}
}

// Check says what is wrong with a program's services: none, one that cannot be, or two of one name.
func Check(services []Service) error {
	if len(services) == 0 {
		return fault.Text(fault.Invalid, "serve", "", "the program has no service")
	}
	seen := map[string]bool{}
	for _, s := range services {
		if err := s.check(); err != nil {
			return err
		}
		if seen[s.Name] {
			return fault.Text(fault.Conflict, "serve", s.Name, "two services have this name")
		}
		seen[s.Name] = true
	}
	return nil
}

// Pick returns the service with a name; the only one if the name is empty. The errors are those of
// Check, and fault.NotFound.
func Pick(services []Service, name string) (Service, error) {
	if err := Check(services); err != nil {
		return Service{}, err
	}
	var names []string
	found := -1
	for i, s := range services {
		names = append(names, s.Name)
		if s.Name == name || name == "" && len(services) == 1 {
			found = i
		}
	}
	switch {
	case found >= 0:
		return services[found], nil
	case name == "":
		return Service{}, fault.Text(fault.Invalid, "serve", "", "say which service: "+strings.Join(names, ", "))
	}
	return Service{}, fault.Text(fault.NotFound, "serve", name, "the program's services are "+strings.Join(names, ", "))
}
