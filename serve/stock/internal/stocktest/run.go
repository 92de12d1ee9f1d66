package stocktest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Run runs serve on a goroutine until stop is called or the test ends, whichever is
// first. stop returns what serve returned, as often as it is called.
func Run(t testing.TB, serve func(ctx context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return stop
}

// Listen opens a TCP socket on a free loopback port, to be closed by who serves it.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
