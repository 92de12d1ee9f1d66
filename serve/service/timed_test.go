package service

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/manners"
)

// pair returns a timed connection and its peer. Time is the bubble's.
func pair(t *testing.T, m manners.Manners) (c, peer net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return newTimed(a, m), b
}

// ends checks that f fails after so long, and that the connection is closed then.
func ends(t *testing.T, peer net.Conn, after time.Duration, f func() error) {
	t.Helper()
	began := time.Now()
	if err := f(); fault.KindOf(err) != fault.Deadline || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took != after {
		t.Errorf("it took %v, want %v", took, after)
	}
	if _, err := io.Copy(io.Discard, peer); err != nil {
		t.Errorf("the peer got %v", err)
	}
}

func read(c net.Conn) func() error {
	return func() error { _, err := c.Read(make([]byte, 1)); return err }
}

func TestTimed_NothingAskedForIsTheConnectionItself(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c := newTimed(a, manners.Manners{IdleMS: manners.None, MaxConns: 3}); c != a {
		t.Errorf("got %T", c)
	}
}

func TestTimed_ClosesASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{IdleMS: 1000})
		go peer.Write([]byte("xy"))
		for range 2 { // and is patient with one that is not
			time.Sleep(time.Minute) // the service's own time does not count
			if err := read(c)(); err != nil {
				t.Fatal(err)
			}
		}
		ends(t, peer, time.Second, read(c))
		if err := read(c)(); err == nil {
			t.Error("it can be read on")
		}
	})
}

func TestTimed_WhatMovesOneWayIsPatienceForTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{IdleMS: 1000})
		go func() {
			for range 10 {
				time.Sleep(900 * time.Millisecond)
				c.Write([]byte("x"))
			}
		}()
		go io.Copy(io.Discard, peer)
		began := time.Now()
		if err := read(c)(); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestTimed_ACallIsBoundedWhateverMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{IdleMS: 10_000, ReadMS: 3000})
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 4 {
				time.Sleep(900 * time.Millisecond)
				c.Write([]byte("x"))
			}
		})
		go io.Copy(io.Discard, peer)
		ends(t, peer, 3*time.Second, read(c))
		wg.Wait()
	})
}

func TestTimed_IsPatientWithASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{IdleMS: 1000})
		var wg sync.WaitGroup
		wg.Go(func() {
			for b := make([]byte, chunk); ; {
				time.Sleep(900 * time.Millisecond)
				if n, _ := io.ReadFull(peer, b); n < len(b) {
					return
				}
			}
		})
		if n, err := c.Write(make([]byte, 20*chunk)); n != 20*chunk || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		c.Close()
		wg.Wait()
	})
}

func TestTimed_ClosesAPeerThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{WriteMS: 2000})
		ends(t, peer, 2*time.Second, func() error { _, err := c.Write(make([]byte, chunk)); return err })
	})
}

func TestTimed_KeepsTheServicesOwnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t, manners.Manners{IdleMS: 10_000})
		began := time.Now()
		c.SetReadDeadline(began.Add(time.Second))
		err := read(c)()
		if _, ours := errors.AsType[*fault.Error](err); ours || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		go func() { time.Sleep(time.Second); c.SetDeadline(time.Unix(1, 0)) }() // while it waits
		c.SetDeadline(time.Time{})
		if err := read(c)(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		c.SetDeadline(began.Add(time.Hour)) // later than ours
		ends(t, peer, 10*time.Second, read(c))
	})
}
