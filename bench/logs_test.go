package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/web"
)

type (
	multiply struct{ X, Y float64 }
	output   struct{ Value float64 }
)

// logged is the API of the seed as a service whose every part has this logger.
func logged(b *testing.B, log *slog.Logger) service.Service {
	h, err := api.Handle(func(_ context.Context, m multiply) (output, error) { return output{m.X * m.Y}, nil },
		&api.HandlerOptions{Name: "Multiply"})
	if err != nil {
		b.Fatal(err)
	}
	a, err := api.New("crunch", []*api.Handler{h}, &api.Options{Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	return service.Service{Name: "crunch", Kind: service.Requests,
		Serve: service.HTTP(web.New(a, nil), service.HTTPOptions{Logger: log})}
}

// serving starts a service in this process, and returns a client's connections to it.
func serving(b *testing.B, log *slog.Logger, conns int) []net.Conn {
	sock, err := socket.Open(b.Context(), socket.Address{Network: "tcp", Addr: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() {
		over <- service.Run(ctx, logged(b, log), []*socket.Socket{sock}, &service.Options{Logger: log, OnReady: func() { close(ready) }})
	}()
	<-ready
	var all []net.Conn
	for range conns {
		c, err := net.Dial("tcp", sock.Addr)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, c)
	}
	b.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
		stop()
		if err := <-over; err != nil {
			b.Error(err)
		}
	})
	return all
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ask sends so many requests on each connection, one after another, and returns the processor time that they took, here and there.
func ask(b *testing.B, conns []net.Conn, each int) time.Duration {
	request := []byte("GET /Multiply?x=1.5&y=2.25 HTTP/1.1\r\nHost: crunch\r\n\r\n")
	var wg sync.WaitGroup
	began := cpu(b)
	for _, c := range conns {
		wg.Go(func() {
			in := bufio.NewReader(c)
			for range each {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				res, err := http.ReadResponse(in, nil)
				if err == nil {
					var n int64
					if n, err = io.Copy(io.Discard, res.Body); n == 0 && err == nil || res.StatusCode != http.StatusOK {
						err = errors.New(res.Status)
					}
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return cpu(b) - began
}

// BenchmarkLogs_NothingPrinted compares an API that logs from INFO on, which prints nothing then, with the same one whose
// parts have no log at all. They take turns; cost-% is what the log takes of the request rate, the median of the turns. Goal: at most 2.
// It is measured in processor time, which bounds the rate of a busy server: the time on a machine that others use says nothing about 2 %.
func BenchmarkLogs_NothingPrinted(b *testing.B) {
	const conns, each = 8, 100
	without := serving(b, slog.New(slog.DiscardHandler), conns)
	with := serving(b, slog.New(slogs.New(io.Discard, &slogs.Options{Level: slogs.LevelConsole})), conns)
	ask(b, without, each)
	ask(b, with, each)
	var costs []float64
	for i := 0; b.Loop(); i++ {
		var a, c time.Duration
		if i%2 == 0 {
			a, c = ask(b, without, each), ask(b, with, each)
		} else {
			c, a = ask(b, with, each), ask(b, without, each)
		}
		costs = append(costs, 100*(1-a.Seconds()/c.Seconds()))
	}
	slices.Sort(costs)
	b.ReportMetric(costs[len(costs)/2], "cost-%")
	b.ReportMetric(float64(2*conns*each)*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
