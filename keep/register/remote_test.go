package register_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
)

func TestRemote_FindsItsOwnerAgain(t *testing.T) {
	path, reg := socketPath(t), new(register.Memory)
	same := &register.OwnerOptions{Identity: "mine"}
	stop := own(t, path, reg, same)
	var h registertest.History
	var wg sync.WaitGroup
	over, answered := make(chan struct{}), make(chan struct{})
	for id := range 4 {
		r := dial(t, path)
		wg.Go(func() {
			guess := register.Uint(0)
			for i := uint64(1); ; i++ {
				select {
				case <-over:
					return
				case answered <- struct{}{}:
				default:
				}
				next := register.Uint(uint64(id)<<32 + i)
				got, err := h.Swap(t.Context(), id, r, register.Op{Old: guess, New: next})
				if err != nil {
					t.Errorf("operation %d: %v", i, err) // an owner that stops in order answers what it took
				}
				if guess = got; got == guess {
					guess = next
				}
			}
		})
	}
	for range 10 {
		for range 20 {
			<-answered
		}
		stop()
		stop = own(t, path, reg, same)
	}
	close(over)
	wg.Wait()
	h.Check(t, porcupine.Ok)
}

func TestRemote_WaitsForAnOwnerThatIsAway(t *testing.T) {
	path, reg := socketPath(t), new(register.Memory)
	same := &register.OwnerOptions{Identity: "mine"}
	stop := own(t, path, reg, same)
	r := dial(t, path)
	stop()
	got := make(chan error, 1)
	go func() {
		_, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1))
		got <- err
	}()
	own(t, path, reg, same)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if reg.String() != "1" {
		t.Errorf("the register holds %s", reg)
	}
}

func TestRemote_RefusesAnotherRegister(t *testing.T) {
	path := socketPath(t)
	stop := own(t, path, new(register.Memory), nil)
	r := dial(t, path)
	stop()
	own(t, path, new(register.Memory), nil)
	for range 2 {
		_, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1))
		if err == nil || !strings.Contains(err.Error(), "another register is there now") {
			t.Errorf("got %v", err)
		}
	}
}

func TestRemote_CloseEndsCalls(t *testing.T) {
	path, kv := socketPath(t), &stuck{make(chan struct{}), make(chan struct{})}
	own(t, path, kv, nil)
	defer close(kv.let)
	r := dial(t, path)
	got := make(chan error, 1)
	go func() {
		_, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1))
		got <- err
	}()
	<-kv.begun
	r.Close()
	if err := <-got; fault.KindOf(err) != fault.Lost {
		t.Errorf("got %v", err)
	}
	if _, err := r.Swap(t.Context(), nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("after Close: %v", err)
	}
}

// stuck answers when it is let.
type stuck struct{ begun, let chan struct{} }

func (s *stuck) Swap(context.Context, []register.Op) (register.Number, error) {
	s.begun <- struct{}{}
	<-s.let
	return register.Uint(0), nil
}

func TestServe_AnswersWhatIsUnderWayBeforeItEnds(t *testing.T) {
	path, kv := socketPath(t), &stuck{make(chan struct{}), make(chan struct{})}
	stop := own(t, path, kv, nil)
	r := dial(t, path)
	got := make(chan error, 1)
	go func() {
		_, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1))
		got <- err
	}()
	<-kv.begun
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	for { // until it no longer takes anybody
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		c.Close()
	}
	close(kv.let)
	if err := <-got; err != nil {
		t.Error(err)
	}
	<-stopped
}

// broken fails with what an owner's own register may fail with.
type broken struct{}

func (broken) Swap(context.Context, []register.Op) (register.Number, error) {
	return register.Number{}, fault.Text(fault.Deadline, "swap key", "r", "nobody knows")
}

func TestServe_ErrorsTravel(t *testing.T) {
	path := socketPath(t)
	own(t, path, broken{}, nil)
	r := dial(t, path)
	for range 2 {
		_, err := r.Swap(t.Context(), nil)
		if fault.KindOf(err) != fault.Deadline || err.Error() != "cannot swap key r: nobody knows" {
			t.Errorf("got %v", err)
		}
	}
}

// raw opens a line by hand.
func raw(t *testing.T, path string) *line.Conn {
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := line.Client(t.Context(), nc, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Receive(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServe_NonsenseEndsItsLineOnly(t *testing.T) {
	path := socketPath(t)
	own(t, path, new(register.Memory), nil)
	r := dial(t, path)
	for name, frame := range map[string][]byte{
		"half an operation":   {0, 0},
		"no such small":       append(binary.AppendUvarint([]byte{0}, 1<<64-1), 0, 0),
		"not canonical":       append([]byte{25}, bytes.Repeat([]byte("0"), 25)...),
		"not digits":          append([]byte{25}, bytes.Repeat([]byte("x"), 25)...),
		"small as digits":     {1, '5', 0, 0},
		"longer than there":   {200, 1, '5'},
		"too long":            binary.AppendUvarint(nil, register.MaxDigits+1),
		"no length":           {0x80},
		"too many operations": make([]byte, 4*(register.MaxOps+1)),
		"too large":           make([]byte, 2<<20),
	} {
		c := raw(t, path)
		c.Send(frame)
		if b, err := c.Receive(); err == nil {
			t.Errorf("%s: answered with %q", name, b)
		}
		if _, err := r.Swap(t.Context(), nil); err != nil {
			t.Errorf("%s: the others: %v", name, err)
		}
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if b, err := io.ReadAll(c); len(b) > 0 && err == nil {
		t.Errorf("got %q", b)
	}
	if _, err := r.Swap(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestServe_EndsWithItsListener(t *testing.T) {
	ln, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := register.Serve(t.Context(), ln, token, new(register.Memory), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	ln, err = net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	o := &register.OwnerOptions{Identity: strings.Repeat("x", 1000)}
	if err := register.Serve(t.Context(), ln, token, new(register.Memory), o); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

// An owner that talks nonsense loses the line, and the caller is told.
func TestRemote_LeavesAnOwnerThatTalksNonsense(t *testing.T) {
	for name, answer := range map[string][]byte{
		"nothing": {}, "no type": {7}, "no number": {0}, "more": {0, 0, 5, 6}, "no error": {1, 0}, "half an error": {1, 3, 1},
		"large": make([]byte, 3<<20),
	} {
		path := socketPath(t)
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			c, err := line.Server(t.Context(), nc, token, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.Send([]byte("BCR1x"))
			c.Receive()
			c.Send(answer)
			c.Receive()
		})
		r := dial(t, path)
		if _, err := r.Swap(t.Context(), nil); fault.KindOf(err) != fault.Lost {
			t.Errorf("%s: got %v", name, err)
		}
		wg.Wait()
		ln.Close()
		r.Close()
	}
	for _, hello := range []string{"", "BCR1", "HTTP", "BCR1" + strings.Repeat("x", 300)} {
		path := socketPath(t)
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			c, err := line.Server(context.Background(), nc, token, nil)
			if err != nil {
				t.Error(err)
				return
			}
			c.Send([]byte(hello))
			c.Receive()
			c.Close()
		})
		if _, err := register.Dial(t.Context(), path, token); fault.KindOf(err) != fault.Denied {
			t.Errorf("%q: got %v", hello, err)
		}
		wg.Wait()
		ln.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := register.Dial(ctx, os.DevNull, token); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
}
