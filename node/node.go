package node

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/embed"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/logs"
	"github.com/universal-server/become/ground/reexec"
)

// Options of a node. The zero value is a node of its own on this machine.
type Options struct {
	// Home is the node's folder. Default: home.Default.
	Home string
	// Workers is how many processes a bundle gets. Default 2.
	Workers int
	// Slots is how many tasks run at once in each. Default: the number of CPUs.
	Slots int
	// Listen is the address of the embedded bus, and its host that of the workers'
	// lines. Beyond loopback a Key must be given. Default: 127.0.0.1 and the port of the last
	// start, so that bosses find a restarted node again, or any free one.
	Listen string
	// URL of a bus to join instead of embedding one.
	URL string
	// Key of the fleet, or the path of its file. Default: the home's own, made at
	// the first start.
	Key string
	// Durable makes every acknowledgement wait for the disk (fsync). Default: the
	// operating system's cache, which survives kill -9 but not a power cut.
	Durable bool
	// Replicas is how many servers of a joined cluster keep each record. Default 1.
	Replicas int
	// Idle is how long a process without work is kept. Default 20 s.
	Idle time.Duration
	// Grace is how long a cancelled task may go on before its process is killed.
	// Default 5 s.
	Grace time.Duration
	// Memory bounds the heap of each JavaScript process. Unit: bytes. Default 256 MiB.
	Memory int64
	// MaxRestarts is how many processes of one bundle may die within a minute
	// before the bundle is given up for a minute. Default 20.
	MaxRestarts int
	// LogBytes bounds the stored output of all processes. Default 1 GiB.
	LogBytes int64
	// MaxStore bounds the bus's files. Default: what the disk has, less a reserve.
	MaxStore int64
	// Embedded marks a fleet that lasts only as long as a command. It serves no roles.
	Embedded bool
	// Host is the executable that hosts bundles which are no executables. Default:
	// this program, which then must be the become command.
	Host    string
	Version string
	Logger  *slog.Logger
	// Adopt goes on as the node that the program before has handed over, with the files that it has left. Home is
	// its. Default: a new one.
	Adopt    *Handover
	Received *reexec.In
}

func (o *Options) setDefaults() {
	if o.Home == "" {
		o.Home = home.Default()
	}
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.Slots <= 0 {
		o.Slots = runtime.NumCPU()
	}
	if o.Idle <= 0 {
		o.Idle = 20 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	if o.Memory == 0 {
		o.Memory = 256 << 20
	}
	if o.MaxRestarts <= 0 {
		o.MaxRestarts = 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Node is a running node. Stop it.
type Node struct {
	opts      Options
	started   time.Time
	home      *home.Home
	key       *key.Key
	server    *embed.Server // nil when another bus was joined
	url       string
	bus       bus.Bus
	store     *bundle.Store
	cache     *bundle.Cache
	logs      *logs.Store
	followers followers
	stores    fleet.Stores
	machine   string
	full      atomic.Pointer[string] // why new jobs are refused
	services  *services
	lineTCP   string // address for the workers' TLS listeners; empty: none

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup
	subs   []bus.Subscription

	mu       sync.Mutex
	pools    map[poolKey]*pool
	stopping bool
	resting  bool // no worker is started
	asks     chan Ask
	wake     chan struct{} // has an item when jobs were submitted
}

// Start opens the home, the bus and everything else, and returns when bosses
// can find the node. ctx bounds the start only.
func Start(ctx context.Context, opts Options) (*Node, error) {
	opts.setDefaults()
	n := &Node{opts: opts, started: time.Now(), pools: map[poolKey]*pool{}, wake: make(chan struct{}, 1), asks: make(chan Ask, 1), machine: home.MachineID()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.open(ctx); err != nil {
		n.Stop()
		return nil, err
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
	if err := n.checkListen(); err != nil {
		return err
	}
	if err := n.checkAdopt(); err != nil {
		return err
	}
	if n.opts.Adopt != nil {
		n.home, err = home.Adopt(n.opts.Adopt.Home, n.opts.Received)
	} else {
		n.home, err = home.Open(n.opts.Home)
	}
	if err != nil {
		return err
	}
	if n.key, err = n.openKey(); err != nil {
		return err
	}
	if n.logs, err = logs.Open(n.home.Logs(), &logs.Options{MaxBytes: n.opts.LogBytes, Logger: n.opts.Logger}); err != nil {
		return err
	}
	if n.services, err = newServices(n); err != nil {
		return err
	}
	if err := n.adoptServices(); err != nil { // first of all, so that they are looked after
		return err
	}
	if err = n.openBus(ctx); err != nil {
		return err
	}
	if n.cache, err = bundle.OpenCache(n.home.Cache(), 0); err != nil {
		return err
	}
	if n.stores, err = fleet.OpenStores(ctx, n.bus); err != nil {
		return err
	}
	n.store = &bundle.Store{KV: n.stores.Bundles, Blobs: n.stores.Code, Verifier: n.key.Public()}
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.openServices(); err != nil {
		return err
	}
	n.wg.Go(n.watchJobs)
	if b, ok := n.bus.(*jet.Conn); ok && n.server != nil {
		n.wg.Go(func() { n.watchSpace(b) })
	}
	return n.home.Publish(home.Contact{PID: os.Getpid(), URL: n.url, Node: n.ID(), Embedded: n.opts.Embedded, Started: n.started})
}

// ID names the node in the fleet; it lasts as long as its home.
func (n *Node) ID() string { return n.home.ID() }

// URL is where the bus is.
func (n *Node) URL() string { return n.url }

// KeyText is the fleet's key, for a process that this one starts.
func (n *Node) KeyText() string { return n.key.String() }

// Done is closed when the embedded bus has ended by itself, which nothing
// survives.
func (n *Node) Done() <-chan struct{} {
	if n.server == nil {
		return nil
	}
	return n.server.Done()
}

// Stop drains the processes for a short while, kills what is left, and
// returns when nothing of the node is left but its home.
func (n *Node) Stop() error {
	n.mu.Lock()
	n.stopping = true
	pools := make([]*pool, 0, len(n.pools))
	for _, p := range n.pools {
		pools = append(pools, p)
	}
	n.mu.Unlock()
	for _, s := range n.subs {
		s.Unsubscribe()
	}
	var wg sync.WaitGroup
	for _, p := range pools {
		wg.Go(func() { p.stop("its node is stopping") })
	}
	if n.services != nil {
		wg.Go(n.services.stop)
	}
	wg.Wait()
	n.close()
	if n.home != nil {
		return n.home.Close()
	}
	return nil
}

// close ends what is neither a process nor the home.
func (n *Node) close() {
	for _, s := range n.subs {
		s.Unsubscribe()
	}
	n.cancel()
	n.wg.Wait()
	if n.services != nil {
		n.services.disown()
	}
	if n.bus != nil {
		n.bus.Close()
	}
	if n.server != nil {
		n.server.Shutdown()
	}
	if n.logs != nil {
		n.logs.Close()
	}
}

// Kill ends every process at once and then stops.
func (n *Node) Kill() error {
	n.cancel()
	return n.Stop()
}

// work runs f on a goroutine of the node, unless it is stopping.
func (n *Node) work(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopping {
		n.wg.Go(f)
	}
}

// environ is what children inherit: this process's environment without what
// belongs to become, secrets first of all.
func environ() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "BECOME_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") && !strings.HasPrefix(e, "LISTEN_") {
			out = append(out, e)
		}
	}
	return out
}

// serviceEnviron is what a service's process inherits: where its node is, so that it finds the same fleet, if it may
// read the key.
func (n *Node) serviceEnviron() []string {
	env := append(environ(), home.Env+"="+n.home.Dir())
	if path, err := filepath.Abs(n.opts.Key); n.opts.Key != "" && err == nil {
		if _, err := os.Stat(path); err == nil { // a file: the key itself is in nobody's environment
			env = append(env, fleet.EnvKey+"="+path)
		}
	}
	return env
}

func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}
