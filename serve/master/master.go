package master

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/serve/keeper"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// Program is the code that serves: an executable, and how it is started.
type Program struct {
	// Path must stay as it is for as long as the program serves or can come back.
	Path string
	Args []string
	Env  []string // the whole environment
	Dir  string   // default: the master's
	// Label is what people call it, see keeper.Run.
	Label string
}

// Options of a master. Zero and nil mean the defaults.
type Options struct {
	// Name is what the service is called in errors. Default: empty.
	Name string
	// Output and Logger are as in keeper.Options.
	Output func(keeper.ID) (stdout, stderr io.WriteCloser)
	Logger *slog.Logger
	// Keeper are the keeper's other options, Bus among them; its Output and Logger are not used.
	Keeper keeper.Options
	// Home is the folder that keeps self-made certificates. Default: home.Default().
	Home string
	// Activated are sockets that are open already, see socket.Activated. A spec that does not say where to listen is
	// served on them. The master closes them.
	Activated []*socket.Socket
	// Holders is shared by the masters of a program. Default: none.
	Holders *Holders
}

// Master keeps one service going. Make it with New or Adopt. Deploy, Handover, TakeBack and Close are for one goroutine at a time; what
// is embedded may be called by many.
type Master struct {
	*keeper.Keeper
	opts Options
	wg   sync.WaitGroup

	mu      sync.Mutex
	deploys int      // counts them
	sockets []*held  // all that are open
	used    []use    // those of the version that serves
	given   []string // addresses of sockets that were open before
	routed  bool     // it has a Route
	handed  bool     // to another program, as it seems
	shown   *cert.Pair
}

// New returns a master without sockets and processes.
func New(opts *Options) (*Master, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &Master{opts: o}
	if err := m.takeActivated(); err != nil {
		return nil, err
	}
	k := m.keeperOptions()
	var err error
	if m.Keeper, err = keeper.New(nil, &k); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Master) keeperOptions() keeper.Options {
	k := m.opts.Keeper
	k.Output, k.Logger = m.opts.Output, m.opts.Logger
	return k
}

// Deploy lets the service become this: it opens the sockets that are not open yet, starts the program's
// processes and returns when they serve; see keeper.Deploy. When it fails everything is
// as it was.
func (m *Master) Deploy(ctx context.Context, spec Spec, p Program) error {
	spec, err := m.settle(spec)
	if err != nil {
		return err
	}
	pair, err := m.certificate(spec)
	if err != nil {
		return err
	}
	all, err := m.begin(ctx, spec)
	if err != nil {
		return err
	}
	err = m.Keeper.Deploy(ctx, keeper.Program{
		Path: p.Path, Args: p.Args, Env: p.Env, Dir: p.Dir, Label: p.Label,
		Service: spec.Service, Settings: spec.Settings, Manners: spec.Manners, Log: spec.Log, Certificate: pair, Sockets: kept(all),
		StartWithin: milliseconds(spec.StartMS), DrainWithin: milliseconds(spec.DrainMS), Probation: milliseconds(spec.ProbationMS),
		Confine: spec.confine(),
	}, spec.Procs)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.keep(m.used)
		return err
	}
	m.used, m.routed, m.shown = all, spec.Route != "", pair
	m.tidyLocked()
	return nil
}

// settle fills in what a spec leaves open, and checks it.
func (m *Master) settle(spec Spec) (Spec, error) {
	if len(spec.Listen) == 0 {
		spec.Listen = m.given
	}
	spec = spec.WithDefaults()
	return spec, spec.Check()
}

// begin opens the sockets of a spec, and returns them.
func (m *Master) begin(ctx context.Context, spec Spec) (all []use, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkRoute(spec); err != nil {
		return nil, err
	}
	all, fresh, err := m.open(ctx, spec)
	if err != nil {
		return nil, err
	}
	m.sockets = append(m.sockets, fresh...)
	m.route(spec, all)
	m.deploys++
	return all, nil
}

// certificate loads what a spec asks for; nil if nothing.
func (m *Master) certificate(spec Spec) (*cert.Pair, error) {
	if spec.TLS == (cert.Source{}) {
		return nil, nil
	}
	addresses, err := spec.addresses()
	if err != nil {
		return nil, err
	}
	dir := m.opts.Home
	if dir == "" {
		dir = home.Default()
	}
	pair, err := spec.TLS.Load(dir, socket.Hosts(addresses)...)
	if err != nil {
		return nil, err
	}
	if text := pair.Warning(time.Now()); text != "" && m.opts.Logger != nil {
		m.opts.Logger.Warn(text, "certificate", pair.Path)
	}
	return pair, nil
}

// Certificate is what the last version that was deployed shows; nil without TLS.
func (m *Master) Certificate() *cert.Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown
}

// Prepare opens the sockets of a spec and starts nothing: connects wait until Deploy.
func (m *Master) Prepare(ctx context.Context, spec Spec) error {
	spec, err := m.settle(spec)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all, fresh, err := m.open(ctx, spec)
	if err != nil {
		return err
	}
	m.sockets = append(m.sockets, fresh...)
	m.used = all
	m.keep(all)
	return nil
}

// Sockets are those that are open for the version that serves, or will.
func (m *Master) Sockets() []wire.Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]wire.Socket, len(m.used))
	for i, u := range m.used {
		all[i] = u.as
	}
	return all
}

// keep closes the sockets that are not among those; the caller holds mu.
func (m *Master) keep(those []use) {
	var rest, other []*held
	for _, h := range m.sockets {
		if slices.ContainsFunc(those, func(u use) bool { return u.held == h }) {
			rest = append(rest, h)
		} else {
			other = append(other, h)
		}
	}
	m.sockets = rest
	m.closeAll(other)
}

// afterProbation closes the sockets that the version which serves then does not use: the new one,
// or if that was undone the one before.
func (m *Master) afterProbation(mine int) {
	var st keeper.Status
	for {
		changed := m.Changed()
		if st = m.Status(); !st.Probation || st.Closed {
			break
		}
		<-changed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deploys != mine || m.handed || st.Closed {
		return // who deployed last decides, or the next program
	}
	m.used = m.serving(st.Sockets)
	m.keep(m.used)
}

// serving are the sockets that a status speaks of; the caller holds mu.
func (m *Master) serving(those []wire.Socket) (used []use) {
	for _, w := range those {
		for _, h := range m.sockets {
			if h.socket.Network == w.Network && h.socket.Addr == w.Addr {
				used = append(used, use{h, w})
			}
		}
	}
	return used
}

// Close tells all processes to drain, and when they are gone closes the sockets. When
// ctx ends the processes are killed.
func (m *Master) Close(ctx context.Context) error {
	m.closeRouters(ctx)
	err := m.Keeper.Close(ctx)
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.sockets
	m.sockets, m.used = nil, nil
	return errors.Join(err, m.closeAll(all))
}
