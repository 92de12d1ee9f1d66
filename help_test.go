package become_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become"
)

// alone returns a fleet that is this process, its bus in memory. Inside of a
// synctest bubble its time is the bubble's.
func alone(t testing.TB, config ...become.Config) *become.Fleet {
	t.Helper()
	c := become.Config{Alone: true}
	if len(config) > 0 {
		c = config[0]
		c.Alone = true
	}
	f, err := become.Connect(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// soon bounds a test that would hang where it is broken.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// stage is where a test and its functions meet: functions are declared once,
// tests come and go, so a function finds its test by a number in its argument.
type stage struct {
	started chan int      // the functions that have begun, by their number
	release chan struct{} // closed: functions may go on
	ended   chan int      // those whose context ended
	runs    atomic.Int64
	now     atomic.Int64
	most    atomic.Int64 // running at once
}

var (
	stages  sync.Map
	stageID atomic.Int64
)

// newStage makes a stage; its channels belong to the bubble it is made in.
func newStage(t testing.TB) (int, *stage) {
	id := int(stageID.Add(1))
	s := &stage{started: make(chan int, 1<<17), release: make(chan struct{}), ended: make(chan int, 1<<17)}
	stages.Store(id, s)
	t.Cleanup(func() { stages.Delete(id) })
	return id, s
}

func stageOf(id int) *stage {
	s, _ := stages.Load(id)
	return s.(*stage)
}

func (s *stage) enter(n int) (leave func()) {
	s.runs.Add(1)
	now := s.now.Add(1)
	for {
		most := s.most.Load()
		if now <= most || s.most.CompareAndSwap(most, now) {
			break
		}
	}
	s.started <- n
	return func() { s.now.Add(-1) }
}

// job is an argument: the stage, and a number of its own.
type job struct{ Stage, N int }

type point struct {
	X, Y  int
	Label string
	Tags  []string
	Exact *big.Int
}

var errOdd = errors.New("odd")

// The functions of these tests.
var (
	double = become.Func("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	even   = become.Func("even", func(_ context.Context, n int) (int, error) {
		if n%2 != 0 {
			return 0, fmt.Errorf("%d is %w", n, errOdd)
		}
		return n / 2, nil
	})
	mirror = become.Func("mirror", func(_ context.Context, p point) (point, error) {
		p.X, p.Y = p.Y, p.X
		return p, nil
	})
	same = become.Func("same", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

	// hold runs until its test releases it or its context ends.
	hold = become.Func("hold", func(ctx context.Context, j job) (int, error) {
		s := stageOf(j.Stage)
		defer s.enter(j.N)()
		select {
		case <-s.release:
			return j.N, nil
		case <-ctx.Done():
			s.ended <- j.N
			return 0, ctx.Err()
		}
	})
	// one is hold, one at a time.
	one = become.Func("one", func(ctx context.Context, j job) (int, error) {
		s := stageOf(j.Stage)
		defer s.enter(j.N)()
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
		return j.N, nil
	}, become.Options{Slots: 1})
	// hurried is given 50 ms.
	hurried = become.Func("hurried", func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		return 0, fmt.Errorf("stopped: %w", ctx.Err())
	}, become.Options{Timeout: 50 * time.Millisecond})
)
