package main

import (
	"context"
	"net"
	"runtime"
	"sync"

	"github.com/universal-server/become/keep/register"
)

// locked is the lecture's register with a lock: between the comparison and the swap another
// thread could come.
type locked struct {
	mu    sync.Mutex
	value register.Number
}

func (l *locked) Swap(_ context.Context, ops []register.Op) (present register.Number, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	present = l.value
	for _, op := range ops {
		if l.value == op.Old {
			l.value = op.New
		}
	}
	return present, nil
}

// threads has a thread for each connection. Goroutines would do, and be cheaper; a thread is what
// LockOSThread makes of one.
func threads(ctx context.Context, ln *net.TCPListener) error {
	defer closing(ctx, ln)()
	reg := new(locked)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		all.Go(func() {
			runtime.LockOSThread()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			serveConn(conn, reg)
		})
	}
}
