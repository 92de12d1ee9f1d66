package jet

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// consumer asks the server for entries, and keeps the leases of those that
// came after their Pull had returned until the next one takes them.
type consumer struct {
	q     queue
	ask   string // subject of requests
	inbox string
	sub   *nats.Subscription
	lease time.Duration

	pulling chan struct{} // has an item while somebody pulls

	mu    sync.Mutex
	here  []*delivery   // received and not taken
	since time.Time     // when the last of them came
	open  int           // entries asked for and still to come
	until time.Time     // when the server forgets the request
	pause time.Duration // before the next request, the last one having been refused
	news  chan struct{} // has an item when something came
}

func newConsumer(q queue, name string, lease time.Duration) (*consumer, error) {
	c := &consumer{
		q: q, ask: "$JS.API.CONSUMER.MSG.NEXT." + q.name + "." + name, inbox: q.c.nc.NewInbox(),
		lease: lease, pulling: make(chan struct{}, 1), news: make(chan struct{}, 1),
	}
	var err error
	if c.sub, err = q.c.nc.Subscribe(c.inbox, c.receive); err != nil {
		return nil, wrong("open consumer", name, err)
	}
	if err := q.c.begin("open consumer", c.keepLeases); err != nil {
		return nil, err
	}
	return c, nil
}

// receive takes an entry, or the server's word that no more will come.
func (c *consumer) receive(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if status := m.Header.Get("Status"); status != "" && m.Reply == "" {
		c.statusLocked(status, m.Header.Get("Nats-Pending-Messages"))
	} else {
		c.open = max(0, c.open-1)
		c.pause = 0
		c.here = append(c.here, newDelivery(c, m))
		c.since = time.Now()
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *consumer) statusLocked(status, pending string) {
	if status == "100" { // a heartbeat
		return
	}
	c.open = 0
	switch {
	case status == "404", pending != "": // all that was there has come, or time is over
		c.pause = 0
	case status == "408": // others have asked for what is there
		c.pause = 10 * time.Millisecond
	default: // limits, a change of leader, nobody there
		c.pause = 100 * time.Millisecond
	}
}

// restOfBatch is how long Pull waits for the entries that come with the first.
const restOfBatch = 50 * time.Millisecond

// Pull takes entries: those that are here, else those that come first.
func (c *consumer) Pull(ctx context.Context, most int, wait time.Duration) ([]bus.Delivery, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case c.pulling <- struct{}{}:
		defer func() { <-c.pulling }()
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, fault.New(fault.KindOf(ctx.Err()), "pull from", c.q.name, ctx.Err())
	}
	deadline := time.Now().Add(wait)
	for {
		select {
		case <-c.q.c.life.Done():
			return nil, fault.New(fault.Lost, "pull from", c.q.name, nats.ErrConnectionClosed)
		default:
		}
		if ctx.Err() != nil {
			return nil, fault.New(fault.KindOf(ctx.Err()), "pull from", c.q.name, ctx.Err())
		}
		taken, again, err := c.take(most, time.Until(deadline))
		if len(taken) > 0 || err != nil {
			return taken, err
		}
		next := time.NewTimer(again)
		select {
		case <-c.news:
		case <-next.C:
		case <-timer.C:
			next.Stop()
			return nil, nil
		case <-ctx.Done():
		case <-c.q.c.life.Done():
		}
		next.Stop()
	}
}

// take returns what is here once all of a batch is, and asks for more when
// nothing is and nothing is on its way. again is when to look again, should nothing come.
func (c *consumer) take(most int, wait time.Duration) (taken []bus.Delivery, again time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := min(most, len(c.here)); n > 0 {
		if rest := time.Until(c.since.Add(restOfBatch)); n < most && c.open > 0 && rest > 0 {
			return nil, rest, nil
		}
		for _, d := range c.here[:n] {
			taken = append(taken, d)
		}
		c.here = append(c.here[:0], c.here[n:]...)
		return taken, 0, nil
	}
	if rest := time.Until(c.until); c.open > 0 && rest > 0 {
		return nil, rest, nil
	}
	if pause := c.pause; pause > 0 {
		c.pause = 0
		return nil, pause, nil
	}
	wait = max(wait, 100*time.Millisecond)
	// no_wait with a time: answered with what is there as soon as anything is, and
	// nothing is sent afterwards to a taker that may be busy with it.
	request, err := json.Marshal(map[string]any{"batch": most, "expires": wait, "no_wait": true})
	if err != nil {
		return nil, 0, err
	}
	if err := c.q.c.nc.PublishRequest(c.ask, c.inbox, request); err != nil {
		return nil, 0, wrong("pull from", c.q.name, err)
	}
	c.open = most
	// Should the server never answer, as after its restart, ask again.
	c.until = time.Now().Add(wait + time.Second)
	return nil, wait + time.Second, nil
}

// keepLeases extends the leases of entries that came late and nobody has
// taken yet. What nobody takes for a whole lease is given back.
func (c *consumer) keepLeases() {
	tick := time.NewTicker(max(c.lease/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.q.c.life.Done():
			c.sub.Unsubscribe()
			c.giveBack()
			return
		case <-tick.C:
		}
		c.mu.Lock()
		for _, d := range c.here {
			d.Extend()
		}
		idle := len(c.here) > 0 && time.Since(c.since) > c.lease
		c.mu.Unlock()
		if idle {
			c.giveBack()
		}
	}
}

func (c *consumer) giveBack() {
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
	d := &delivery{c: c, m: m, record: bus.Record{Subject: m.Subject, Header: words(m.Header), Data: m.Data}}
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
