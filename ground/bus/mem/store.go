package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// store is the records of a queue or a log, in order of their numbers.
type store struct {
	s     *Server
	spec  bus.Spec
	queue bool

	mu        sync.Mutex
	records   []bus.Record // some may be removed: their Seq is 0
	removed   int
	place     map[uint64]int // number → index in records
	seq       uint64
	bytes     int64
	ids       map[string]put // of a queue
	forget    []put
	consumers map[string]*consumer
}

type put struct {
	id  string
	seq uint64
	at  time.Time
}

func newStore(s *Server, spec bus.Spec, queue bool) *store {
	return &store{s: s, spec: spec, queue: queue, ids: map[string]put{}, place: map[uint64]int{}, consumers: map[string]*consumer{}}
}

func (st *store) count() int64 { return int64(len(st.records) - st.removed) }

// appendLocked keeps a record.
func (st *store) appendLocked(subject string, data []byte) (uint64, error) {
	if !bus.ValidSubject(subject, false) || !bus.Match(st.spec.Name+".>", subject) {
		return 0, fault.Text(fault.Invalid, "store record", subject, "the subject is not one of "+st.spec.Name)
	}
	full := st.spec.MaxRecords > 0 && st.count() >= st.spec.MaxRecords || st.spec.MaxBytes > 0 && st.bytes+int64(len(data)) > st.spec.MaxBytes
	if full && st.queue {
		return 0, fault.Text(fault.Busy, "store record", subject, fmt.Sprintf("the queue is full: %d records, %d bytes", st.count(), st.bytes))
	}
	st.seq++
	st.place[st.seq] = len(st.records)
	st.records = append(st.records, bus.Record{Subject: subject, Seq: st.seq, Time: time.Now(), Data: bytes.Clone(data)})
	st.bytes += int64(len(data))
	if !st.queue {
		st.trimLocked()
	}
	return st.seq, nil
}

// trimLocked drops a log's oldest records.
func (st *store) trimLocked() {
	for i := 0; i < len(st.records); i++ {
		r := &st.records[i]
		old := st.spec.MaxAge > 0 && time.Since(r.Time) > st.spec.MaxAge
		over := st.spec.MaxRecords > 0 && st.count() > st.spec.MaxRecords || st.spec.MaxBytes > 0 && st.bytes > st.spec.MaxBytes
		if r.Seq != 0 && !old && !over {
			break
		}
		st.removeAtLocked(i)
	}
	st.compactLocked()
}

func (st *store) removeAtLocked(i int) {
	if st.records[i].Seq == 0 {
		return
	}
	st.bytes -= int64(len(st.records[i].Data))
	delete(st.place, st.records[i].Seq)
	st.records[i] = bus.Record{}
	st.removed++
}

func (st *store) compactLocked() {
	if st.removed > 64 && st.removed > len(st.records)/2 {
		st.records = slices.DeleteFunc(st.records, func(r bus.Record) bool { return r.Seq == 0 })
		st.removed = 0
		for i, r := range st.records {
			st.place[r.Seq] = i
		}
	}
}

// findLocked returns a record's place, or -1.
func (st *store) findLocked(seq uint64) int {
	if i, ok := st.place[seq]; ok {
		return i
	}
	return -1
}

func (st *store) read(filter string, from uint64, max int) []bus.Record {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expireLocked()
	var out []bus.Record
	for _, r := range st.records {
		if len(out) == max {
			break
		}
		if r.Seq >= from && r.Seq != 0 && bus.Match(filter, r.Subject) {
			r.Data = bytes.Clone(r.Data)
			out = append(out, r)
		}
	}
	return out
}

func (st *store) expireLocked() {
	if !st.queue {
		st.trimLocked()
	}
}

// Remove deletes a record.
func (st *store) Remove(_ context.Context, seq uint64) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := st.findLocked(seq)
	if i < 0 {
		return fault.Text(fault.NotFound, "remove record", fmt.Sprint(seq), "there is none")
	}
	st.removeAtLocked(i)
	st.compactLocked()
	for _, c := range st.consumers {
		c.forgetLocked(seq)
	}
	return nil
}

// log is a connection's view of a log.
type log struct {
	*store
	c *conn
}

// Append keeps a record and publishes it.
func (l *log) Append(_ context.Context, subject string, data []byte) (uint64, error) {
	if err := l.c.live("append to"); err != nil {
		return 0, err
	}
	l.mu.Lock()
	seq, err := l.appendLocked(subject, data)
	l.mu.Unlock()
	if err == nil {
		l.s.publish(subject, "", data)
	}
	return seq, err
}

// Read returns records in order.
func (l *log) Read(_ context.Context, filter string, from uint64, max int) ([]bus.Record, error) {
	return l.read(filter, from, max), l.c.live("read")
}

// Tail returns the newest records.
func (l *log) Tail(_ context.Context, filter string, max int) ([]bus.Record, error) {
	all := l.read(filter, 1, -1)
	return all[len(all)-min(max, len(all)):], l.c.live("read")
}

// queue is a connection's view of a queue.
type queue struct {
	*store
	c *conn
}

// Put keeps an entry.
func (q *queue) Put(ctx context.Context, subject string, data []byte, id string) (uint64, error) {
	if err := q.c.live("put into"); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fault.New(fault.KindOf(err), "put into", subject, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.forget) > 0 && time.Since(q.forget[0].at) > dedupFor {
		delete(q.ids, q.forget[0].id)
		q.forget = q.forget[1:]
	}
	if p, ok := q.ids[id]; ok && id != "" {
		return p.seq, nil
	}
	seq, err := q.appendLocked(subject, data)
	if err != nil {
		return 0, err
	}
	if id != "" {
		p := put{id, seq, time.Now()}
		q.ids[id] = p
		q.forget = append(q.forget, p)
	}
	for _, c := range q.consumers {
		if bus.Match(c.filter, subject) {
			c.ready = append(c.ready, seq)
			c.wakeLocked()
		}
	}
	return seq, nil
}

// Counts counts entries per subject.
func (q *queue) Counts(_ context.Context, filter string) (map[string]uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := map[string]uint64{}
	for _, r := range q.records {
		if r.Seq != 0 && bus.Match(filter, r.Subject) {
			counts[r.Subject]++
		}
	}
	return counts, q.c.live("count")
}

// Peek returns entries without taking them.
func (q *queue) Peek(_ context.Context, filter string, from uint64, max int) ([]bus.Record, error) {
	return q.read(filter, from, max), q.c.live("read")
}

// Consumer returns the shared consumer of a filter.
func (q *queue) Consumer(_ context.Context, filter string, lease time.Duration) (bus.Consumer, error) {
	if err := q.c.live("open consumer"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.consumers[filter]
	if c == nil {
		c = &consumer{st: q.store, filter: filter, lease: lease, tries: map[uint64]int{}, leased: map[uint64]*delivery{}, wake: make(chan struct{})}
		for _, r := range q.records {
			if r.Seq != 0 && bus.Match(filter, r.Subject) {
				c.ready = append(c.ready, r.Seq)
			}
		}
		q.consumers[filter] = c
	}
	return &consumerConn{c, q.c}, nil
}

// GiveBack ends a lease.
func (q *queue) GiveBack(token string) error {
	var seq uint64
	var attempt int
	if _, err := fmt.Sscanf(token, "%d.%d", &seq, &attempt); err != nil {
		return fault.Text(fault.Invalid, "give back", "", "that is no lease")
	}
	q.mu.Lock()
	var found *delivery
	for _, c := range q.consumers {
		if d := c.leased[seq]; d != nil && d.attempt == attempt {
			found = d
		}
	}
	q.mu.Unlock()
	if found != nil {
		found.again()
	}
	return q.c.live("give back")
}

// consumer is what all who opened a filter share. The store's mutex guards it.
type consumer struct {
	st     *store
	filter string
	lease  time.Duration
	ready  []uint64
	tries  map[uint64]int
	leased map[uint64]*delivery
	wake   chan struct{} // closed when something became ready
}

type consumerConn struct {
	*consumer
	c *conn
}

func (c *consumer) wakeLocked() {
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *consumer) forgetLocked(seq uint64) {
	delete(c.tries, seq)
	if d := c.leased[seq]; d != nil {
		d.timer.Stop()
		delete(c.leased, seq)
	}
	c.ready = slices.DeleteFunc(c.ready, func(s uint64) bool { return s == seq })
}

// Pull takes entries.
func (c *consumerConn) Pull(ctx context.Context, max int, wait time.Duration) ([]bus.Delivery, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if err := c.c.live("pull from"); err != nil {
			return nil, err
		}
		c.st.mu.Lock()
		taken := c.takeLocked(max)
		wake := c.wake
		c.st.mu.Unlock()
		if len(taken) > 0 {
			return taken, nil
		}
		select {
		case <-wake:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fault.New(fault.KindOf(ctx.Err()), "pull from", c.filter, ctx.Err())
		case <-c.c.end:
		}
	}
}

func (c *consumer) takeLocked(max int) []bus.Delivery {
	var taken []bus.Delivery
	for len(c.ready) > 0 && len(taken) < max {
		seq := c.ready[0]
		c.ready = c.ready[1:]
		i := c.st.findLocked(seq)
		if i < 0 {
			continue
		}
		c.tries[seq]++
		r := c.st.records[i]
		r.Data = bytes.Clone(r.Data)
		d := &delivery{c: c, record: r, attempt: c.tries[seq]}
		d.timer = time.AfterFunc(c.lease, func() { d.again() })
		c.leased[seq] = d
		taken = append(taken, d)
	}
	return taken
}

// delivery is an entry on lease.
type delivery struct {
	c       *consumer
	record  bus.Record
	attempt int
	timer   *time.Timer
}

// Record is the entry.
func (d *delivery) Record() bus.Record { return d.record }

// Token names the lease.
func (d *delivery) Token() string { return fmt.Sprintf("%d.%d", d.record.Seq, d.attempt) }

// Attempt counts deliveries.
func (d *delivery) Attempt() int { return d.attempt }

// Extend renews the lease.
func (d *delivery) Extend() error {
	d.c.st.mu.Lock()
	defer d.c.st.mu.Unlock()
	if d.c.leased[d.record.Seq] != d {
		return fault.Text(fault.Lost, "extend lease of", fmt.Sprint(d.record.Seq), "it has run out")
	}
	d.timer.Reset(d.c.lease)
	return nil
}

// Ack removes the entry.
func (d *delivery) Ack(ctx context.Context) error {
	if err := d.c.st.Remove(ctx, d.record.Seq); err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil
}

// Nak gives the entry back.
func (d *delivery) Nak(delay time.Duration) error {
	if delay > 0 {
		d.c.st.mu.Lock()
		defer d.c.st.mu.Unlock()
		if d.c.leased[d.record.Seq] == d {
			d.timer.Reset(delay)
		}
		return nil
	}
	d.again()
	return nil
}

// again makes the entry ready for others.
func (d *delivery) again() {
	st := d.c.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if d.c.leased[d.record.Seq] != d {
		return
	}
	d.timer.Stop()
	delete(d.c.leased, d.record.Seq)
	d.c.ready = append([]uint64{d.record.Seq}, d.c.ready...)
	d.c.wakeLocked()
}
