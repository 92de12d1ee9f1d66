package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/values"
)

// The environment that names a fleet.
const (
	EnvURL = "BECOME_URL" // where the bus is: nats://host:port or tls://host:port
	EnvKey = "BECOME_KEY" // the fleet's key, or the path of the file that holds it
)

// How long things are kept that nobody removes.
const (
	ValuesLast = 24 * time.Hour      // values by reference, after each time that they are stored, and results
	DeadLast   = 30 * 24 * time.Hour // dead letters
	TombsLast  = 30 * 24 * time.Hour // that a job was cancelled: one may wait for long
)

// Options say which fleet. Zero values mean the defaults.
type Options struct {
	// URL of the bus. Default: the environment's, else the local node's.
	URL string
	// Key of the fleet, or the path of a file that holds it. Default: the
	// environment's, else the local node's.
	Key string
	// Home is the local node's folder. Default: home.Default.
	Home string
	// Name of this process, for people. Default: its program's.
	Name   string
	Logger *slog.Logger
}

// Fleet is a connection to a fleet. Close it.
type Fleet struct {
	id     string
	url    string
	bus    bus.Bus
	signer bundle.Signer // nil: this process may not ship bundles
	logger *slog.Logger
	boss   *boss.Boss
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	onEnd  []func() // run by Close, last first

	mu     sync.Mutex
	wg     sync.WaitGroup // nothing is added once closed
	closed bool

	bundles *bundle.Store
	values  *values.Store
	names   names
	jobs    jobs
}

// Parts are what a Fleet is made of by those who have them already: a worker, a
// program that embeds a fleet, a fleet of one process.
type Parts struct {
	// ID is a subject token. Default: a random one.
	ID     string
	URL    string
	Bus    bus.Bus
	Signer bundle.Signer
	// Verifier checks bundles. Nil: this process reads none.
	Verifier bundle.Verifier
	Dial     func(context.Context, roster.Endpoint) (*line.Conn, error)
	Logger   *slog.Logger
}

// Connect joins a fleet as an operator: a process that holds the fleet's key.
func Connect(ctx context.Context, opts *Options) (*Fleet, error) {
	if opts == nil {
		opts = &Options{}
	}
	url, k, err := Locate(opts)
	if err != nil {
		return nil, err
	}
	id := NewID()
	jopts := &jet.Options{Name: opts.Name, Logger: opts.Logger}
	parts := Parts{ID: id, URL: url, Logger: opts.Logger}
	if k != nil {
		jopts.Ticket = k.Ticket(key.Claims{Role: key.RoleOperator, ID: id, Expires: time.Now().Add(365 * 24 * time.Hour)})
		jopts.Public = k.Public().String()
		parts.Signer, parts.Verifier = k, k.Public()
		parts.Dial = Dialer(k.Public(), home.MachineID())
	}
	parts.Bus, err = jet.Connect(ctx, url, jopts)
	if err != nil {
		return nil, err
	}
	f, err := New(ctx, parts)
	if err != nil {
		parts.Bus.Close()
		return nil, err
	}
	f.onEnd = append(f.onEnd, func() { parts.Bus.Close() })
	return f, nil
}

// ErrNoNode is the cause of Connect's error when no fleet is named and none is on this machine.
var ErrNoNode = errors.New("no node is running on this machine")

// Locate finds a fleet's URL and key. fault.NotFound when there is no fleet (ErrNoNode), or no key.
func Locate(opts *Options) (string, *key.Key, error) {
	url := firstOf(opts.URL, os.Getenv(EnvURL))
	secret := firstOf(opts.Key, os.Getenv(EnvKey))
	dir := firstOf(opts.Home, home.Default())
	if url == "" {
		contact, ok, err := home.Find(dir)
		if err != nil {
			return "", nil, err
		}
		if !ok {
			return "", nil, fault.New(fault.NotFound, "find fleet", "", ErrNoNode).WithHint("start one with: become up")
		}
		url = contact.URL
	}
	own := filepath.Join(dir, "key")
	k, err := ReadKey(firstOf(secret, own))
	if err != nil && secret == "" && errors.Is(err, os.ErrNotExist) {
		err = fault.New(fault.NotFound, "read key", own, os.ErrNotExist).WithHint("give the one that the fleet's nodes have, or its file's path, in " + EnvKey)
	}
	if err != nil {
		return "", nil, err
	}
	return url, k, nil
}

// ReadKey reads a key that is given as text, or as the path of its file.
func ReadKey(s string) (*key.Key, error) {
	if strings.HasPrefix(s, "become-key-") {
		return key.Parse(s)
	}
	return key.Load(s)
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// New makes a Fleet of its parts. The caller closes Bus after the Fleet.
func New(ctx context.Context, parts Parts) (*Fleet, error) {
	if parts.ID == "" {
		parts.ID = NewID()
	}
	if parts.Logger == nil {
		parts.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{id: parts.ID, url: parts.URL, bus: parts.Bus, signer: parts.Signer, logger: parts.Logger}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	stores, err := OpenStores(ctx, parts.Bus)
	if err != nil {
		f.cancel()
		return nil, err
	}
	f.values = &values.Store{Blobs: stores.Values, Last: ValuesLast}
	f.bundles = &bundle.Store{KV: stores.Bundles, Blobs: stores.Code, Verifier: parts.Verifier}
	f.names.kv = stores.Names
	f.jobs.init(f, stores)
	f.boss = boss.New(boss.Options{ID: parts.ID, Bus: parts.Bus, Dial: parts.Dial, Logger: parts.Logger})
	return f, nil
}

// Stores are the fleet's stores.
type Stores struct {
	Jobs    bus.Queue
	Results bus.Log
	Dead    bus.Log
	Names   bus.KV
	Bundles bus.KV
	Tombs   bus.KV
	Code    bus.Blobs
	Values  bus.Blobs
}

// OpenStores opens the fleet's stores, and makes those that are missing if
// the connection has the right to.
func OpenStores(ctx context.Context, b bus.Bus) (s Stores, err error) {
	open := func(what string, f func() error) {
		if err != nil {
			return
		}
		if e := f(); e != nil {
			err = fault.New(fault.KindOf(e), "open", what, e)
		}
	}
	open("the job queue", func() (e error) { s.Jobs, e = b.Queue(ctx, bus.Spec{Name: roster.QueueJobs}); return })
	open("the results", func() (e error) {
		s.Results, e = b.Log(ctx, bus.Spec{Name: roster.LogResults, MaxAge: ValuesLast})
		return
	})
	open("the dead letters", func() (e error) {
		s.Dead, e = b.Log(ctx, bus.Spec{Name: roster.LogDead, MaxAge: DeadLast})
		return
	})
	open("the names", func() (e error) { s.Names, e = b.KV(ctx, bus.Spec{Name: roster.KVNames}); return })
	open("the bundles", func() (e error) { s.Bundles, e = b.KV(ctx, bus.Spec{Name: roster.KVBundles}); return })
	open("the tombstones", func() (e error) {
		s.Tombs, e = b.KV(ctx, bus.Spec{Name: roster.KVTombstones, MaxAge: TombsLast})
		return
	})
	open("the code", func() (e error) { s.Code, e = b.Blobs(ctx, bus.Spec{Name: roster.BlobsCode}); return })
	open("the values", func() (e error) {
		s.Values, e = b.Blobs(ctx, bus.Spec{Name: roster.BlobsValues, MaxAge: values.Age(ValuesLast)})
		return
	})
	return s, err
}

// NewID returns a random id that is a subject token.
func NewID() string {
	var b [10]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// ID names this process in the fleet.
func (f *Fleet) ID() string { return f.id }

// URL is where the bus is.
func (f *Fleet) URL() string { return f.url }

// Bus is the connection.
func (f *Fleet) Bus() bus.Bus { return f.bus }

// Boss hands out this process's calls.
func (f *Fleet) Boss() *boss.Boss { return f.boss }

// Values keeps large values.
func (f *Fleet) Values() *values.Store { return f.values }

// Bundles is the code in the fleet.
func (f *Fleet) Bundles() *bundle.Store { return f.bundles }

// Outline returns data as a value to send: itself, or a reference when it is large.
func (f *Fleet) Outline(ctx context.Context, data []byte) (task.Value, error) {
	if len(data) <= task.Inline {
		return task.Value{Data: data}, nil
	}
	name, err := f.values.Store(ctx, data)
	if err != nil {
		return task.Value{}, err
	}
	return task.Value{Data: []byte(name), Ref: true}, nil
}

// Context ends with Close.
func (f *Fleet) Context() context.Context { return f.ctx }

// Do runs g on a goroutine that Close waits for; once closed, on one that nobody
// waits for.
func (f *Fleet) Do(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		go g()
		return
	}
	f.wg.Go(g)
}

// Ship makes sure that the fleet has a bundle. uploaded says whether it was
// new. progress, when not nil, is called with the bytes sent and their total.
func (f *Fleet) Ship(ctx context.Context, m bundle.Manifest, open func() (io.ReadCloser, error), progress func(sent, total int64)) (uploaded bool, err error) {
	if f.signer == nil {
		return false, fault.Text(fault.Denied, "ship bundle", m.Name, "this process does not hold the fleet's key")
	}
	return f.bundles.Put(ctx, m, open, f.signer, progress)
}

// ShipBytes is Ship for code in memory.
func (f *Fleet) ShipBytes(ctx context.Context, m bundle.Manifest, code []byte) (bool, error) {
	return f.Ship(ctx, m, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(code)), nil }, nil)
}

// OnClose runs g when the fleet is closed, after those added later.
func (f *Fleet) OnClose(g func()) { f.onEnd = append(f.onEnd, g) }

// Close ends the calls under way and the connection.
func (f *Fleet) Close() error {
	f.cancel()
	f.boss.Close()
	f.jobs.close()
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wg.Wait()
	for i := len(f.onEnd) - 1; i >= 0; i-- {
		f.onEnd[i]()
	}
	return nil
}
