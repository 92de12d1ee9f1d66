package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

const (
	clients = 8
	// often is how many answers each client wants from a version.
	often = 100
)

// client asks all the time.
type client struct {
	url   string
	fresh bool // a new connection for each request

	asked int
	last  string // the last answer
	err   error  // of the request that failed, after which it asks no more
}

// run asks until it has had enough answers from version 2. It calls warm when it has had
// enough from version 1, or will have no more.
func (c *client) run(ctx context.Context, warm func()) {
	warm = sync.OnceFunc(warm)
	defer warm()
	tr := &http.Transport{DisableKeepAlives: c.fresh}
	defer tr.CloseIdleConnections()
	for before, after := 0, 0; after < often; {
		c.asked++
		if c.last, c.err = ask(ctx, tr, c.url); c.err != nil {
			return
		}
		if strings.HasPrefix(c.last, "version 2 ") {
			after++
		} else if before++; before == often {
			warm()
		}
	}
}

// ask sends a POST: unlike a GET it is not sent again when its connection breaks, so a failure shows.
func ask(ctx context.Context, tr *http.Transport, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return "", err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(answer), err
}

// crowd is clients that ask at the same time.
type crowd struct {
	all        [clients]client
	warm, done sync.WaitGroup
}

func newCrowd(ctx context.Context, url string) *crowd {
	c := &crowd{}
	c.warm.Add(clients)
	for i := range c.all {
		c.all[i] = client{url: url, fresh: i%2 == 0}
		c.done.Go(func() { c.all[i].run(ctx, c.warm.Done) })
	}
	return c
}

// report waits for all clients and prints how they fared.
func (c *crowd) report() error {
	c.done.Wait()
	asked, failed := 0, 0
	var errs []error
	for i := range c.all {
		asked += c.all[i].asked
		if err := c.all[i].err; err != nil {
			failed++
			errs = append(errs, err)
		}
	}
	fmt.Printf("swapped: %s\nrequests: %d\nfailed = %d\n", c.all[0].last, asked, failed)
	return errors.Join(errs...)
}
