package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// Bounds of one subscription's backlog. What goes beyond is dropped.
const (
	pendingMessages = 64 << 10
	pendingBytes    = 64 << 20
)

// dedupFor is how long a Put remembers its id.
const dedupFor = 2 * time.Minute

// Server is the state that connections share. The zero value is ready.
type Server struct {
	mu    sync.Mutex
	subs  map[*subscription]struct{}
	turn  uint64 // whose turn it is in a group
	inbox uint64
	logs  map[string]*store
	kvs   map[string]*kv
	blobs map[string]*blobs
}

// New returns an empty server.
func New() *Server { return &Server{} }

// Connect returns a connection of its own. Close it.
func (s *Server) Connect() bus.Bus {
	return &conn{s: s, subs: map[*subscription]struct{}{}, end: make(chan struct{})}
}

// conn is one connection.
type conn struct {
	s    *Server
	end  chan struct{} // closed by Close
	wg   sync.WaitGroup
	once sync.Once

	mu   sync.Mutex
	subs map[*subscription]struct{}
}

var errClosed = errors.New("the connection is closed")

func (c *conn) live(op string) error {
	select {
	case <-c.end:
		return fault.New(fault.Lost, op, "", errClosed)
	default:
		return nil
	}
}

// Close ends the subscriptions and waits for their goroutines.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.end)
		c.mu.Lock()
		subs := c.subs
		c.subs = map[*subscription]struct{}{}
		c.mu.Unlock()
		for sub := range subs {
			sub.stop()
		}
	})
	c.wg.Wait()
	return nil
}

// subscription delivers on a goroutine of its own.
type subscription struct {
	c       *conn
	subject string
	group   string
	f       func(bus.Message)
	order   uint64

	mu      sync.Mutex
	more    sync.Cond
	pending []bus.Message
	size    int
	ended   bool
}

// Subscribe starts a subscription.
func (c *conn) Subscribe(subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	if err := c.live("subscribe to"); err != nil {
		return nil, err
	}
	if !bus.ValidSubject(subject, true) {
		return nil, fault.Text(fault.Invalid, "subscribe to", subject, "it is no subject")
	}
	sub := &subscription{c: c, subject: subject, group: group, f: f}
	sub.more.L = &sub.mu
	c.mu.Lock()
	c.subs[sub] = struct{}{}
	c.wg.Go(sub.deliver)
	c.mu.Unlock()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.subs == nil {
		c.s.subs = map[*subscription]struct{}{}
	}
	c.s.turn++
	sub.order = c.s.turn
	c.s.subs[sub] = struct{}{}
	return sub, nil
}

func (sub *subscription) deliver() {
	for {
		sub.mu.Lock()
		for len(sub.pending) == 0 && !sub.ended {
			sub.more.Wait()
		}
		if sub.ended {
			sub.mu.Unlock()
			return
		}
		m := sub.pending[0]
		sub.pending = sub.pending[1:]
		sub.size -= len(m.Data)
		sub.mu.Unlock()
		sub.f(m)
	}
}

// Unsubscribe ends the subscription.
func (sub *subscription) Unsubscribe() error {
	sub.c.mu.Lock()
	delete(sub.c.subs, sub)
	sub.c.mu.Unlock()
	sub.stop()
	return nil
}

func (sub *subscription) stop() {
	s := sub.c.s
	s.mu.Lock()
	delete(s.subs, sub)
	s.mu.Unlock()
	sub.mu.Lock()
	sub.ended = true
	sub.more.Broadcast()
	sub.mu.Unlock()
}

func (sub *subscription) push(m bus.Message) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.ended || len(sub.pending) >= pendingMessages || sub.size+len(m.Data) > pendingBytes {
		return
	}
	sub.pending = append(sub.pending, m)
	sub.size += len(m.Data)
	sub.more.Signal()
}

// Publish sends a message.
func (c *conn) Publish(subject string, data []byte) error {
	return c.PublishRequest(subject, "", data)
}

// PublishRequest sends a message that asks for answers.
func (c *conn) PublishRequest(subject, reply string, data []byte) error {
	_, err := c.publish(subject, reply, data)
	return err
}

func (c *conn) publish(subject, reply string, data []byte) (receivers int, err error) {
	if err := c.live("publish to"); err != nil {
		return 0, err
	}
	if !bus.ValidSubject(subject, false) {
		return 0, fault.Text(fault.Invalid, "publish to", subject, "it is no subject")
	}
	return c.s.publish(subject, reply, data), nil
}

func (s *Server) publish(subject, reply string, data []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := map[string][]*subscription{}
	n := 0
	for sub := range s.subs {
		switch {
		case !bus.Match(sub.subject, subject):
		case sub.group != "":
			groups[sub.subject+" "+sub.group] = append(groups[sub.subject+" "+sub.group], sub)
		default:
			sub.push(bus.Message{Subject: subject, Reply: reply, Data: bytes.Clone(data)})
			n++
		}
	}
	for _, members := range groups {
		slices.SortFunc(members, func(a, b *subscription) int { return int(a.order) - int(b.order) })
		s.turn++
		members[s.turn%uint64(len(members))].push(bus.Message{Subject: subject, Reply: reply, Data: bytes.Clone(data)})
		n++
	}
	return n
}

// Inbox returns a fresh subject.
func (c *conn) Inbox() string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.inbox++
	return fmt.Sprintf("_INBOX.mem.%d", c.s.inbox)
}

// Request sends a message and returns the first answer.
func (c *conn) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	inbox := c.Inbox()
	answer := make(chan []byte, 1)
	sub, err := c.Subscribe(inbox, "", func(m bus.Message) {
		select {
		case answer <- m.Data:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	n, err := c.publish(subject, inbox, data)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fault.Text(fault.NotFound, "request", subject, "nobody listens")
	}
	select {
	case b := <-answer:
		return b, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "request", subject, ctx.Err())
	case <-c.end:
		return nil, fault.New(fault.Lost, "request", subject, errClosed)
	}
}

// open returns the named thing, made at its first use.
func open[T any](s *Server, all *map[string]*T, spec bus.Spec, make_ func() *T) (*T, error) {
	if !bus.ValidName(spec.Name) {
		return nil, fault.Text(fault.Invalid, "open store", fmt.Sprintf("%q", spec.Name), "a name is letters, digits, '-' and '_'")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if *all == nil {
		*all = map[string]*T{}
	}
	t := (*all)[spec.Name]
	if t == nil {
		t = make_()
		(*all)[spec.Name] = t
	}
	return t, nil
}

// Queue opens a queue.
func (c *conn) Queue(_ context.Context, spec bus.Spec) (bus.Queue, error) {
	st, err := open(c.s, &c.s.logs, spec, func() *store { return newStore(c.s, spec, true) })
	if err != nil {
		return nil, err
	}
	return &queue{st, c}, c.live("open queue")
}

// Log opens a log.
func (c *conn) Log(_ context.Context, spec bus.Spec) (bus.Log, error) {
	st, err := open(c.s, &c.s.logs, spec, func() *store { return newStore(c.s, spec, false) })
	if err != nil {
		return nil, err
	}
	return &log{st, c}, c.live("open log")
}

// KV opens a key-value store.
func (c *conn) KV(_ context.Context, spec bus.Spec) (bus.KV, error) {
	k, err := open(c.s, &c.s.kvs, spec, func() *kv { return &kv{spec: spec, entries: map[string]kvEntry{}, watches: map[*watch]struct{}{}} })
	if err != nil {
		return nil, err
	}
	return &kvConn{k, c}, c.live("open key-value store")
}

// Blobs opens a blob store.
func (c *conn) Blobs(_ context.Context, spec bus.Spec) (bus.Blobs, error) {
	b, err := open(c.s, &c.s.blobs, spec, func() *blobs { return &blobs{spec: spec, all: map[string]blob{}} })
	if err != nil {
		return nil, err
	}
	return b, c.live("open blob store")
}

// blobs keeps content whole: it is read to its end before it is stored.
type blobs struct {
	spec bus.Spec
	mu   sync.Mutex
	all  map[string]blob
}

type blob struct {
	data []byte
	at   time.Time
}

func (b *blobs) get(name string) (blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.all[name]
	if !ok || b.spec.MaxAge > 0 && time.Since(v.at) > b.spec.MaxAge {
		delete(b.all, name)
		return v, fault.Text(fault.NotFound, "open blob", name, "there is none")
	}
	return v, nil
}

// Put stores what r gives.
func (b *blobs) Put(ctx context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fault.New(fault.KindOf(err), "store blob", name, err)
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.KindOf(err), "store blob", name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	total := int64(len(data))
	for other, v := range b.all {
		if other != name {
			total += int64(len(v.data))
		}
	}
	if b.spec.MaxBytes > 0 && total > b.spec.MaxBytes {
		return fault.Text(fault.Busy, "store blob", name, "the store is full")
	}
	b.all[name] = blob{data, time.Now()}
	return nil
}

// Open returns the content.
func (b *blobs) Open(_ context.Context, name string) (io.ReadCloser, error) {
	v, err := b.get(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(v.data)), nil
}

// Size returns the content's length.
func (b *blobs) Size(_ context.Context, name string) (int64, error) {
	v, err := b.get(name)
	return int64(len(v.data)), err
}

// Delete removes a blob.
func (b *blobs) Delete(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, name)
	return nil
}

// kv is a key-value store.
type kv struct {
	spec     bus.Spec
	mu       sync.Mutex
	revision uint64
	entries  map[string]kvEntry
	watches  map[*watch]struct{}
}

type kvEntry struct {
	value    []byte
	revision uint64
	at       time.Time
}

// kvConn is a connection's view of a store.
type kvConn struct {
	*kv
	c *conn
}

// watch hands changes to its function, one at a time.
type watch struct {
	prefix string
	mu     sync.Mutex
	more   sync.Cond
	queue  []bus.Entry
	ended  bool
}

func (k *kv) entryLocked(key string) (kvEntry, bool) {
	e, ok := k.entries[key]
	if ok && k.spec.MaxAge > 0 && time.Since(e.at) > k.spec.MaxAge {
		delete(k.entries, key)
		return kvEntry{}, false
	}
	return e, ok
}

// Get returns a key's value.
func (k *kv) Get(_ context.Context, key string) (bus.Entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.entryLocked(key)
	if !ok {
		return bus.Entry{}, fault.Text(fault.NotFound, "get key", key, "there is none")
	}
	return bus.Entry{Key: key, Value: bytes.Clone(e.value), Revision: e.revision}, nil
}

// Put stores a value.
func (k *kv) Put(_ context.Context, key string, value []byte) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.setLocked(key, value)
}

// Swap stores a value if the key has not changed.
func (k *kv) Swap(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, _ := k.entryLocked(key)
	if e.revision != revision {
		return 0, fault.Text(fault.Conflict, "swap key", key, fmt.Sprintf("it is at revision %d, not %d", e.revision, revision))
	}
	return k.setLocked(key, value)
}

func (k *kv) setLocked(key string, value []byte) (uint64, error) {
	if !bus.ValidKey(key) {
		return 0, fault.Text(fault.Invalid, "store key", fmt.Sprintf("%q", key), "a key is letters, digits and -_=./")
	}
	size := int64(len(value))
	for other, e := range k.entries {
		if other != key {
			size += int64(len(e.value))
		}
	}
	if k.spec.MaxBytes > 0 && size > k.spec.MaxBytes {
		return 0, fault.Text(fault.Busy, "store key", key, "the store is full")
	}
	k.revision++
	k.entries[key] = kvEntry{bytes.Clone(value), k.revision, time.Now()}
	k.tellLocked(bus.Entry{Key: key, Value: value, Revision: k.revision})
	return k.revision, nil
}

// Delete removes a key.
func (k *kv) Delete(_ context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.entryLocked(key); !ok {
		return nil
	}
	delete(k.entries, key)
	k.revision++
	k.tellLocked(bus.Entry{Key: key, Revision: k.revision, Deleted: true})
	return nil
}

func (k *kv) tellLocked(e bus.Entry) {
	for w := range k.watches {
		if strings.HasPrefix(e.Key, w.prefix) {
			e.Value = bytes.Clone(e.Value)
			w.push(e)
		}
	}
}

func (w *watch) push(e bus.Entry) {
	w.mu.Lock()
	w.queue = append(w.queue, e)
	w.more.Signal()
	w.mu.Unlock()
}

// Watch calls f with what is there and with every change.
func (k *kvConn) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	if err := k.c.live("watch"); err != nil {
		return err
	}
	w := &watch{prefix: prefix}
	w.more.L = &w.mu
	k.mu.Lock()
	keys := make([]string, 0, len(k.entries))
	for key := range k.entries {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return int(k.entries[a].revision) - int(k.entries[b].revision) })
	for _, key := range keys {
		if e, ok := k.entryLocked(key); ok {
			w.queue = append(w.queue, bus.Entry{Key: key, Value: bytes.Clone(e.value), Revision: e.revision})
		}
	}
	w.queue = append(w.queue, bus.Entry{})
	k.watches[w] = struct{}{}
	k.mu.Unlock()

	end := sync.OnceFunc(func() {
		k.mu.Lock()
		delete(k.watches, w)
		k.mu.Unlock()
		w.mu.Lock()
		w.ended = true
		w.more.Broadcast()
		w.mu.Unlock()
	})
	stop := context.AfterFunc(ctx, end)
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	k.c.wg.Go(func() {
		select {
		case <-k.c.end:
			stop()
			end()
		case <-ctx.Done():
		}
	})
	k.c.wg.Go(func() { w.run(f) })
	return nil
}

func (w *watch) run(f func(bus.Entry)) {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.ended {
			w.more.Wait()
		}
		if w.ended {
			w.mu.Unlock()
			return
		}
		e := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		f(e)
	}
}
