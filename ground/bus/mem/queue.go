package mem

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// queue is a connection's view of a queue.
type queue struct {
	*store
	c *conn
}

// Put keeps an entry.
func (q *queue) Put(ctx context.Context, subject string, data []byte, id string, header ...map[string]string) (uint64, error) {
	if err := q.c.check(ctx, "put into", subject); err != nil {
		return 0, err
	}
	words, err := bus.OneHeader(header)
	if err != nil {
		return 0, fault.New(fault.Invalid, "store record", subject, err)
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
	seq, err := q.appendLocked(subject, data, words)
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
func (q *queue) Counts(ctx context.Context, filter string) (map[string]uint64, error) {
	if err := q.c.check(ctx, "count", filter); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireLocked()
	counts := map[string]uint64{}
	for _, r := range q.records {
		if r.Subject != "" && bus.Match(filter, r.Subject) {
			counts[r.Subject]++
		}
	}
	return counts, nil
}

// Peek returns entries without taking them.
func (q *queue) Peek(ctx context.Context, filter string, from uint64, max int) ([]bus.Record, error) {
	if err := q.c.check(ctx, "read", filter); err != nil {
		return nil, err
	}
	return q.read(filter, from, max), nil
}

// Remove deletes an entry.
func (q *queue) Remove(ctx context.Context, seq uint64) error {
	if err := q.c.check(ctx, "remove entry", fmt.Sprint(seq)); err != nil {
		return err
	}
	return q.remove(seq)
}

// Consumer returns the shared consumer of a filter.
func (q *queue) Consumer(ctx context.Context, filter string, lease time.Duration) (bus.Consumer, error) {
	if err := q.c.check(ctx, "open consumer of", filter); err != nil {
		return nil, err
	}
	if !bus.ValidSubject(filter, true) || !bus.Overlap(filter, q.spec.Name+".>") {
		return nil, fault.Text(fault.Invalid, "open consumer of", filter, "it is no filter of "+q.spec.Name)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.consumers[filter]
	if c == nil {
		for other := range q.consumers {
			if bus.Overlap(filter, other) {
				return nil, fault.Text(fault.Invalid, "open consumer of", filter, "it overlaps "+other)
			}
		}
		c = &consumer{st: q.store, filter: filter, lease: lease, tries: map[uint64]int{}, leased: map[uint64]*delivery{}, wake: make(chan struct{})}
		for _, r := range q.records {
			if r.Subject != "" && bus.Match(filter, r.Subject) {
				c.ready = append(c.ready, r.Seq)
			}
		}
		q.consumers[filter] = c
	}
	return &consumerConn{c, q.c}, nil
}

// GiveBack ends a lease.
func (q *queue) GiveBack(token string) error {
	if err := q.c.live("give back"); err != nil {
		return err
	}
	seq, attempt, ok := parseToken(token)
	if !ok {
		return fault.Text(fault.Invalid, "give back", "", "that is no lease of "+q.spec.Name)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.consumers {
		if d := c.leased[seq]; d != nil && d.attempt == attempt && !d.over {
			d.backLocked()
		}
	}
	return nil
}

func parseToken(token string) (seq uint64, attempt int, ok bool) {
	s, a, _ := strings.Cut(token, ".")
	seq, err1 := strconv.ParseUint(s, 10, 64)
	attempt, err2 := strconv.Atoi(a)
	return seq, attempt, err1 == nil && err2 == nil
}

// consumer is what all who opened a filter share. The store's mutex guards it.
type consumer struct {
	st     *store
	filter string
	lease  time.Duration
	again  []uint64 // given back, handed out first
	ready  []uint64 // some may be removed from the store
	tries  map[uint64]int
	leased map[uint64]*delivery
	wake   chan struct{} // closed when something became ready
}

// consumerConn is a connection's view of a consumer.
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
}

// Pull takes entries.
func (c *consumerConn) Pull(ctx context.Context, max int, wait time.Duration) ([]bus.Delivery, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if err := c.c.check(ctx, "pull from", c.filter); err != nil {
			return nil, err
		}
		c.st.mu.Lock()
		c.st.expireLocked()
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
		case <-c.c.end:
		}
	}
}

func (c *consumerConn) takeLocked(max int) []bus.Delivery {
	var taken []bus.Delivery
	for _, from := range []*[]uint64{&c.again, &c.ready} {
		for len(*from) > 0 && len(taken) < max {
			seq := (*from)[0]
			*from = (*from)[1:]
			if i := c.st.findLocked(seq); i >= 0 {
				taken = append(taken, c.leaseLocked(c.st.records[i]))
			}
		}
	}
	return taken
}

func (c *consumerConn) leaseLocked(r bus.Record) *delivery {
	c.tries[r.Seq]++
	r.Data = bytes.Clone(r.Data)
	d := &delivery{c: c, record: r, attempt: c.tries[r.Seq], until: time.Now().Add(c.lease)}
	d.timer = time.AfterFunc(c.lease, d.ranOut)
	c.leased[r.Seq] = d
	return d
}

// delivery is an entry on lease.
type delivery struct {
	c       *consumerConn
	record  bus.Record
	attempt int

	timer *time.Timer
	until time.Time // guarded by the store's mutex
	over  bool      // it was given back
}

// Record is the entry.
func (d *delivery) Record() bus.Record { return d.record }

// Token names the lease.
func (d *delivery) Token() string { return fmt.Sprintf("%d.%d", d.record.Seq, d.attempt) }

// Attempt counts deliveries.
func (d *delivery) Attempt() int { return d.attempt }

// heldLocked reports whether the entry is still this taker's.
func (d *delivery) heldLocked() bool { return d.c.leased[d.record.Seq] == d && !d.over }

func (d *delivery) lastLocked(lease time.Duration) {
	d.until = time.Now().Add(lease)
	d.timer.Reset(lease)
}

// Extend renews the lease.
func (d *delivery) Extend() error {
	if err := d.c.c.live("extend lease of"); err != nil {
		return err
	}
	d.c.st.mu.Lock()
	defer d.c.st.mu.Unlock()
	if !d.heldLocked() {
		return fault.Text(fault.Lost, "extend lease of", fmt.Sprint(d.record.Seq), "it has run out")
	}
	d.lastLocked(d.c.lease)
	return nil
}

// Ack removes the entry.
func (d *delivery) Ack(ctx context.Context) error {
	if err := d.c.c.check(ctx, "acknowledge", fmt.Sprint(d.record.Seq)); err != nil {
		return err
	}
	if err := d.c.st.remove(d.record.Seq); err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil
}

// Nak gives the entry back.
func (d *delivery) Nak(delay time.Duration) error {
	if err := d.c.c.live("give back"); err != nil {
		return err
	}
	d.c.st.mu.Lock()
	defer d.c.st.mu.Unlock()
	if !d.heldLocked() {
		return nil
	}
	d.over = true
	if delay > 0 {
		d.lastLocked(delay)
	} else {
		d.backLocked()
	}
	return nil
}

// ranOut ends the lease, unless it was renewed at the last moment.
func (d *delivery) ranOut() {
	d.c.st.mu.Lock()
	defer d.c.st.mu.Unlock()
	if d.c.leased[d.record.Seq] == d && !time.Now().Before(d.until) {
		d.backLocked()
	}
}

// backLocked makes the entry ready for others.
func (d *delivery) backLocked() {
	d.timer.Stop()
	delete(d.c.leased, d.record.Seq)
	d.c.again = append(d.c.again, d.record.Seq)
	d.c.wakeLocked()
}
