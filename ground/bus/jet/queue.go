package jet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// queue is a work-queue stream.
type queue struct{ *stream }

// Queue opens a queue.
func (c *Conn) Queue(ctx context.Context, spec bus.Spec) (bus.Queue, error) {
	st, err := c.openRecords(ctx, spec, jetstream.StreamConfig{
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Duplicates: dedupFor,
	})
	if err != nil {
		return nil, err
	}
	return queue{st}, nil
}

// Put keeps an entry.
func (q queue) Put(ctx context.Context, subject string, data []byte, id string) (uint64, error) {
	if id == "" {
		return q.put(ctx, subject, data)
	}
	return q.put(ctx, subject, data, jetstream.WithMsgID(id))
}

// Counts counts entries per subject.
func (q queue) Counts(ctx context.Context, filter string) (map[string]uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	info, err := q.s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, wrong("count", filter, err)
	}
	if info.State.Subjects == nil {
		return map[string]uint64{}, nil
	}
	return info.State.Subjects, nil
}

// Peek returns entries without taking them.
func (q queue) Peek(ctx context.Context, filter string, from uint64, most int) ([]bus.Record, error) {
	return q.read(ctx, filter, from, most)
}

// GiveBack ends a lease.
func (q queue) GiveBack(token string) error {
	if !bus.ValidSubject(token, false) || !strings.HasPrefix(token, "$JS.ACK.") || !strings.Contains(token, "."+q.name+".") {
		return fault.Text(fault.Invalid, "give back", "", "that is no lease of "+q.name)
	}
	return wrong("give back", q.name, q.c.nc.Publish(token, []byte("-NAK")))
}

// ConsumerName returns the name of the consumer of a filter.
func ConsumerName(filter string) string {
	sum := sha256.Sum256([]byte(filter))
	return "c_" + hex.EncodeToString(sum[:10])
}

// maxAckPending is how many entries of one consumer may be on lease.
const maxAckPending = 20_000

// Consumer returns the shared consumer of a filter.
func (q queue) Consumer(ctx context.Context, filter string, lease time.Duration) (bus.Consumer, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	name := ConsumerName(filter)
	_, err := q.s.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		_, err = q.s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease,
			MaxAckPending: maxAckPending, MaxDeliver: -1, MaxWaiting: 4096,
		})
	}
	if err != nil {
		return nil, wrong("open consumer of", filter, err)
	}
	return newConsumer(q, name, lease)
}

// consumer asks the server for entries, and keeps the leases of those that
// came after their Pull had returned until the next one takes them.
type consumer struct {
	q     queue
	ask   string // subject of requests
	inbox string
	sub   *nats.Subscription
	lease time.Duration
	wg    sync.WaitGroup
	end   chan struct{}

	pulling sync.Mutex // one Pull at a time

	mu    sync.Mutex
	here  []*delivery   // received and not taken
	open  int           // entries asked for and still to come
	until time.Time     // when the server forgets the request
	news  chan struct{} // has an item when something came
}

func newConsumer(q queue, name string, lease time.Duration) (*consumer, error) {
	c := &consumer{
		q: q, ask: "$JS.API.CONSUMER.MSG.NEXT." + q.name + "." + name, inbox: q.c.nc.NewInbox(),
		lease: lease, end: make(chan struct{}), news: make(chan struct{}, 1),
	}
	var err error
	if c.sub, err = q.c.nc.Subscribe(c.inbox, c.receive); err != nil {
		return nil, wrong("open consumer", name, err)
	}
	c.wg.Go(c.keepLeases)
	q.c.atClose(c.close)
	return c, nil
}

// receive takes an entry, or the server's word that no more will come.
func (c *consumer) receive(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if status := m.Header.Get("Status"); status != "" && m.Reply == "" {
		if status != "100" { // 404 none, 408 time is over, 409 limits: the request is done
			pending, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
			if err != nil || pending > c.open {
				pending = c.open
			}
			c.open -= pending
		}
	} else {
		c.open = max(0, c.open-1)
		c.here = append(c.here, newDelivery(c, m))
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Pull takes entries: those that are here, else those that come first.
func (c *consumer) Pull(ctx context.Context, most int, wait time.Duration) ([]bus.Delivery, error) {
	c.pulling.Lock()
	defer c.pulling.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		taken, err := c.take(most, wait)
		if len(taken) > 0 || err != nil {
			return taken, err
		}
		select {
		case <-c.news:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fault.New(fault.KindOf(ctx.Err()), "pull from", c.q.name, ctx.Err())
		case <-c.end:
			return nil, fault.New(fault.Lost, "pull from", c.q.name, nats.ErrConnectionClosed)
		}
	}
}

// take returns what is here, and asks for more when nothing is and nothing is
// on its way.
func (c *consumer) take(most int, wait time.Duration) ([]bus.Delivery, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(most, len(c.here))
	if n > 0 {
		taken := make([]bus.Delivery, n)
		for i, d := range c.here[:n] {
			taken[i] = d
		}
		c.here = append(c.here[:0], c.here[n:]...)
		return taken, nil
	}
	if c.open > 0 && time.Now().Before(c.until) {
		return nil, nil
	}
	wait = max(wait, 100*time.Millisecond)
	request, err := json.Marshal(map[string]any{"batch": most, "expires": wait})
	if err != nil {
		return nil, err
	}
	if err := c.q.c.nc.PublishRequest(c.ask, c.inbox, request); err != nil {
		return nil, wrong("pull from", c.q.name, err)
	}
	c.open = most
	// Should the server never answer, as after its restart, ask again.
	c.until = time.Now().Add(wait + time.Second)
	return nil, nil
}

// keepLeases extends the leases of entries that nobody has taken yet.
func (c *consumer) keepLeases() {
	tick := time.NewTicker(c.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-c.end:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		for _, d := range c.here {
			d.Extend()
		}
		c.mu.Unlock()
	}
}

func (c *consumer) close() {
	close(c.end)
	c.wg.Wait()
	c.sub.Unsubscribe()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.here {
		d.Nak(0)
	}
	c.here = nil
}

// delivery is an entry on lease.
type delivery struct {
	c       *consumer
	m       *nats.Msg
	record  bus.Record
	attempt int
}

func newDelivery(c *consumer, m *nats.Msg) *delivery {
	d := &delivery{c: c, m: m, record: bus.Record{Subject: m.Subject, Data: m.Data}}
	if meta, err := m.Metadata(); err == nil {
		d.record.Seq, d.record.Time, d.attempt = meta.Sequence.Stream, meta.Timestamp, int(meta.NumDelivered)
	}
	return d
}

// Record is the entry.
func (d *delivery) Record() bus.Record { return d.record }

// Token is where the lease is ended.
func (d *delivery) Token() string { return d.m.Reply }

// Attempt counts deliveries.
func (d *delivery) Attempt() int { return d.attempt }

// Extend renews the lease.
func (d *delivery) Extend() error {
	return wrong("extend lease of", d.record.Subject, d.m.InProgress())
}

// Ack removes the entry, and waits for the server to say so.
func (d *delivery) Ack(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return wrong("acknowledge", d.record.Subject, d.m.AckSync(nats.Context(ctx)))
}

// Nak gives the entry back.
func (d *delivery) Nak(delay time.Duration) error {
	if delay <= 0 {
		return wrong("give back", d.record.Subject, d.m.Nak())
	}
	return wrong("give back", d.record.Subject, d.m.NakWithDelay(delay))
}
