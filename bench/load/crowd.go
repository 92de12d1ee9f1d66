package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/bench/rig"
)

// patience is how long a client waits for anything.
const patience = 20 * time.Second

// crowd is the clients of a generator.
type crowd struct {
	addr, dialog   string
	clients, depth int

	busy []*client // those of rate, from the first on
	held []*client
}

// client is one connection.
type client struct {
	conn   net.Conn
	r      *bufio.Reader
	dialog dialog
	out    []byte
	took   []float64 // µs of each exchange, if somebody wants it
}

func (c *crowd) dial(i int) (*client, error) {
	d, err := newDialog(c.dialog, i)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", c.addr, patience)
	if err != nil {
		return nil, err
	}
	// Small, so that ten thousand of them are no burden; large enough for a batch of short answers.
	one := &client{conn: conn, r: bufio.NewReaderSize(conn, 2<<10), dialog: d}
	return one, conn.SetDeadline(time.Now().Add(patience))
}

// exchange sends so many requests at once and hears the answers.
func (c *client) exchange(depth int) error {
	c.out = c.out[:0]
	for range depth {
		c.out = c.dialog.ask(c.out)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	for range depth {
		if err := c.dialog.hear(c.r); err != nil {
			return err
		}
	}
	return nil
}

// rate lets all clients ask for n ms. The value is answers per second; p50 and p99, if there is
// one client that asks one at a time, the latency in µs.
func (c *crowd) rate(_ context.Context, n int) (rig.Answer, error) {
	for len(c.busy) < c.clients {
		one, err := c.dial(len(c.busy))
		if err != nil {
			return rig.Answer{}, err
		}
		c.busy = append(c.busy, one)
		if err := one.exchange(1); err != nil {
			return rig.Answer{}, err
		}
	}
	var stop atomic.Bool
	time.AfterFunc(time.Duration(n)*time.Millisecond, func() { stop.Store(true) })
	counts := make([]int, len(c.busy))
	began := time.Now()
	err := each(len(c.busy), func(i int) error {
		one := c.busy[i]
		one.conn.SetDeadline(began.Add(time.Duration(n)*time.Millisecond + patience))
		timed := c.clients*c.depth == 1
		one.took = one.took[:0]
		for !stop.Load() {
			before := time.Time{}
			if timed {
				before = time.Now()
			}
			if err := one.exchange(c.depth); err != nil {
				return err
			}
			if timed {
				one.took = append(one.took, float64(time.Since(before))/float64(time.Microsecond))
			}
			counts[i] += c.depth
		}
		return nil
	})
	took := time.Since(began)
	sum := 0
	for _, n := range counts {
		sum += n
	}
	a := rig.Answer{Value: float64(sum) / took.Seconds()}
	if took := c.busy[0].took; len(took) > 0 {
		a.More = map[string]float64{"p50": rig.Quantile(took, 0.5), "p99": rig.Quantile(took, 0.99)}
	}
	return a, err
}

// each calls f for the numbers below n at once and returns the first error.
func each(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("client %d of %d: %w", i+1, n, err)
		}
	}
	return nil
}

// connect connects n clients at once. The value is ms until each has had an answer.
func (c *crowd) connect(_ context.Context, n int) (rig.Answer, error) {
	began := time.Now()
	all, err := c.join(n, n)
	took := time.Since(began)
	closeAll(all)
	return rig.Answer{Value: float64(took) / float64(time.Millisecond)}, err
}

// hold connects n clients and keeps them. The value is how many are held.
func (c *crowd) hold(_ context.Context, n int) (rig.Answer, error) {
	all, err := c.join(n, 64)
	c.held = append(c.held, all...)
	return rig.Answer{Value: float64(len(c.held))}, err
}

func (c *crowd) drop(context.Context, int) (rig.Answer, error) {
	closeAll(c.held)
	c.held = nil
	return rig.Answer{}, nil
}

// join connects n clients, so many at once, each of which asks once.
func (c *crowd) join(n, atOnce int) ([]*client, error) {
	all := make([]*client, n)
	var next atomic.Int64
	err := each(min(n, atOnce), func(int) error {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			one, err := c.dial(i)
			if err != nil {
				return err
			}
			all[i] = one
			if err := one.exchange(1); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

func (c *crowd) close() {
	closeAll(c.busy)
	closeAll(c.held)
}

func closeAll(all []*client) {
	for _, one := range all {
		if one != nil {
			one.conn.Close()
		}
	}
}
