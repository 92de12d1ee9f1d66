//go:build linux

package survival

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// client is one of those that make a load where there is no wrk, or where somebody has to know which
// process a connection belonged to.
type client struct {
	shape
	conn   net.Conn
	reader *bufio.Reader
	pid    int // of the process that answered on conn; 0: none has
	lost   func(pid int)
	seen   tally
}

// runClients makes a load. lost, if there is one, is told of each connection that failed, with the
// process that had answered on it before, and may be called by many goroutines.
func runClients(ctx context.Context, s shape, lost func(pid int)) tally {
	ctx, cancel := context.WithTimeout(ctx, s.for_)
	defer cancel()
	all := make([]client, connections)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = client{shape: s, lost: lost}
		wg.Go(func() { all[i].run(ctx) })
	}
	wg.Wait()
	var sum tally
	for _, c := range all {
		sum.requests += c.seen.requests
		sum.connect += c.seen.connect
		sum.read += c.seen.read
		sum.write += c.seen.write
		sum.timeout += c.seen.timeout
		sum.status += c.seen.status
	}
	return sum
}

func (c *client) run(ctx context.Context) {
	defer c.close()
	for ctx.Err() == nil {
		if c.conn == nil && !c.dial() {
			continue
		}
		c.request()
	}
}

func (c *client) dial() bool {
	conn, err := net.DialTimeout("tcp", c.addr, answerWithin)
	if err != nil {
		c.seen.connect++
		return false
	}
	conn.SetDeadline(time.Now().Add(c.for_ + answerWithin))
	c.conn, c.reader, c.pid = conn, bufio.NewReader(conn), 0
	return true
}

func (c *client) request() {
	header := ""
	if c.fresh {
		header = "Connection: close\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", c.addr, header); err != nil {
		c.fail(&c.seen.write)
		return
	}
	res, err := http.ReadResponse(c.reader, nil)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(res.Body)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.fail(&c.seen.timeout)
		return
	case err != nil:
		c.fail(&c.seen.read)
		return
	case res.StatusCode != http.StatusOK:
		c.seen.status++
	default:
		c.seen.requests++
	}
	fmt.Sscanf(string(body), "%s %d", new(string), &c.pid)
	if res.Close || c.fresh {
		c.close()
	}
}

func (c *client) fail(n *int) {
	*n++
	if c.lost != nil {
		c.lost(c.pid)
	}
	c.close()
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
