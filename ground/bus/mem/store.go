package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
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
	records   []bus.Record // some may be removed: they have no subject
	removed   int
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
	return &store{s: s, spec: spec, queue: queue, ids: map[string]put{}, consumers: map[string]*consumer{}}
}

func (st *store) count() int64 { return int64(len(st.records) - st.removed) }

func (st *store) fullLocked(more int64) bool {
	return st.spec.MaxRecords > 0 && st.count() >= st.spec.MaxRecords || st.spec.MaxBytes > 0 && st.bytes+more > st.spec.MaxBytes
}

// appendLocked keeps a record.
func (st *store) appendLocked(subject string, data []byte, header map[string]string) (uint64, error) {
	if !bus.ValidSubject(subject, false) || !bus.Match(st.spec.Name+".>", subject) {
		return 0, fault.Text(fault.Invalid, "store record", subject, "the subject is not one of "+st.spec.Name)
	}
	if err := sized("store record", subject, data); err != nil {
		return 0, err
	}
	st.expireLocked()
	if st.queue && st.fullLocked(int64(len(data))) {
		return 0, fault.Text(fault.Busy, "store record", subject, fmt.Sprintf("the queue is full: %d records, %d bytes", st.count(), st.bytes))
	}
	for i := 0; i < len(st.records) && st.fullLocked(int64(len(data))); i++ {
		st.removeLocked(i)
	}
	st.compactLocked()
	st.seq++
	st.records = append(st.records, bus.Record{Subject: subject, Seq: st.seq, Time: time.Now(), Header: maps.Clone(header), Data: bytes.Clone(data)})
	st.bytes += int64(len(data))
	return st.seq, nil
}

// expireLocked drops what is too old.
func (st *store) expireLocked() {
	if st.spec.MaxAge <= 0 {
		return
	}
	for i := 0; i < len(st.records) && time.Since(st.records[i].Time) > st.spec.MaxAge; i++ {
		st.removeLocked(i)
	}
	st.compactLocked()
}

func (st *store) removeLocked(i int) {
	r := &st.records[i]
	if r.Subject == "" {
		return
	}
	st.bytes -= int64(len(r.Data))
	r.Subject, r.Header, r.Data = "", nil, nil
	st.removed++
	for _, c := range st.consumers {
		c.forgetLocked(r.Seq)
	}
}

func (st *store) compactLocked() {
	if st.removed > 64 && st.removed > len(st.records)/2 {
		st.records = slices.DeleteFunc(st.records, func(r bus.Record) bool { return r.Subject == "" })
		st.removed = 0
	}
}

// fromLocked returns the place of the first record, removed or not, with at
// least that number.
func (st *store) fromLocked(seq uint64) int {
	return sort.Search(len(st.records), func(i int) bool { return st.records[i].Seq >= seq })
}

// findLocked returns a record's place, or -1.
func (st *store) findLocked(seq uint64) int {
	i := st.fromLocked(seq)
	if i == len(st.records) || st.records[i].Seq != seq || st.records[i].Subject == "" {
		return -1
	}
	return i
}

func (st *store) read(filter string, from uint64, max int) []bus.Record {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expireLocked()
	var out []bus.Record
	for _, r := range st.records[st.fromLocked(from):] {
		if len(out) == max {
			break
		}
		if r.Subject != "" && bus.Match(filter, r.Subject) {
			r.Header, r.Data = maps.Clone(r.Header), bytes.Clone(r.Data)
			out = append(out, r)
		}
	}
	return out
}

// tail returns the newest records, oldest first.
func (st *store) tail(filter string, max int) []bus.Record {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expireLocked()
	var out []bus.Record
	for _, r := range slices.Backward(st.records) {
		if len(out) == max {
			break
		}
		if r.Subject != "" && bus.Match(filter, r.Subject) {
			r.Header, r.Data = maps.Clone(r.Header), bytes.Clone(r.Data)
			out = append(out, r)
		}
	}
	slices.Reverse(out)
	return out
}

// remove deletes a record.
func (st *store) remove(seq uint64) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expireLocked()
	i := st.findLocked(seq)
	if i < 0 {
		return fault.Text(fault.NotFound, "remove record", fmt.Sprint(seq), "there is none")
	}
	st.removeLocked(i)
	st.compactLocked()
	return nil
}

// log is a connection's view of a log.
type log struct {
	*store
	c *conn
}

// Append keeps a record and publishes it.
func (l *log) Append(ctx context.Context, subject string, data []byte) (uint64, error) {
	if err := l.c.check(ctx, "append to", subject); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock() // subscribers see records in the order of their numbers
	seq, err := l.appendLocked(subject, data, nil)
	if err == nil {
		l.s.publish(bus.Message{Subject: subject, Data: data})
	}
	return seq, err
}

// Read returns records in order.
func (l *log) Read(ctx context.Context, filter string, from uint64, max int) ([]bus.Record, error) {
	if err := l.c.check(ctx, "read", filter); err != nil {
		return nil, err
	}
	return l.read(filter, from, max), nil
}

// Tail returns the newest records.
func (l *log) Tail(ctx context.Context, filter string, max int) ([]bus.Record, error) {
	if err := l.c.check(ctx, "read", filter); err != nil {
		return nil, err
	}
	return l.tail(filter, max), nil
}

// Remove deletes a record.
func (l *log) Remove(ctx context.Context, seq uint64) error {
	if err := l.c.check(ctx, "remove record", fmt.Sprint(seq)); err != nil {
		return err
	}
	return l.remove(seq)
}
