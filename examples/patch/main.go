// Patch is Armstrong's original become: a server whose behaviour is replaced while it
// runs. Eight callers call the function greeting.hello as fast as they can; meanwhile
// greeting becomes other code and then what it was before. No call fails, a call that
// runs ends on the version it began on, and the next one is on the new.
//
//	go run ./examples/patch
//	go run ./cmd/become run ./examples/patch
//
// It prints what hello says at each stage, how many calls were made, how many of
// them failed (0), and the versions that every caller saw: 1 2 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/universal-server/become"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
)

// The two versions, as text: no compiler takes part.
var versions = [...]become.Script{
	{Functions: []string{"hello", "slow"}, Source: `
		exports.hello = name => ({Version: 1, Text: 'hello ' + name});
		exports.slow = async ms => { await new Promise(done => setTimeout(done, ms)); return 1 };
	`},
	{Functions: []string{"hello", "slow"}, Source: `
		exports.hello = name => ({Version: 2, Text: 'HELLO ' + name.toUpperCase() + '!'});
		exports.slow = async ms => { await new Promise(done => setTimeout(done, ms)); return 2 };
	`},
}

type greeting struct {
	Version int
	Text    string
}

// enough is how many answers each caller gets before the next change.
const enough = 200

func main() { become.Main(boss, become.Config{Scripts: open}) }

// open runs scripts in this process when there is no fleet.
func open(name string, source []byte) (engine.Engine, error) {
	return js.Open(source, &js.Options{Name: name})
}

func boss(ctx context.Context, fleet *become.Fleet) error {
	hello, err := become.Named[string, greeting]("greeting.hello")
	if err != nil {
		return err
	}
	slow, err := become.Named[int, int]("greeting.slow")
	if err != nil {
		return err
	}
	if _, err := fleet.Deploy(ctx, "greeting", versions[0]); err != nil {
		return err
	}
	load := startLoad(ctx, fleet, hello, 8)
	defer load.stop()
	show := func(title string) error {
		g, err := hello.Call(ctx, fleet, "world")
		if err != nil {
			return err
		}
		fmt.Printf("%-12s version %d says %s\n", title, g.Version, g.Text)
		return load.wait(ctx, g.Version)
	}
	if err := show("deployed:"); err != nil {
		return err
	}

	// The patch, under load, with a call under way.
	long := slow.Go(ctx, fleet, 500)
	if _, err := fleet.Deploy(ctx, "greeting", versions[1]); err != nil {
		return err
	}
	if err := show("patched:"); err != nil {
		return err
	}
	v, err := long.Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("a call begun before the patch ended on version %d\n", v)

	// And back.
	if _, err := fleet.Rollback(ctx, "greeting"); err != nil {
		return err
	}
	if err := show("rolled back:"); err != nil {
		return err
	}
	load.stop()
	return load.report()
}

// load is callers that call without a pause.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	over   chan struct{}

	mu      sync.Mutex
	callers []caller
	changed chan struct{} // closed and replaced when an answer was counted
}

type caller struct {
	calls, failed int
	err           error // the first failure
	versions      []int // seen, without repetitions
	same          int   // answers of the last of them
}

func startLoad(ctx context.Context, fleet *become.Fleet, hello *become.Function[string, greeting], n int) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, over: make(chan struct{}), callers: make([]caller, n), changed: make(chan struct{})}
	for i := range n {
		l.wg.Go(func() {
			for {
				select {
				case <-l.over:
					return
				default:
				}
				g, err := hello.Call(ctx, fleet, fmt.Sprint("caller ", i))
				if ctx.Err() != nil {
					return
				}
				l.count(&l.callers[i], g.Version, err)
			}
		})
	}
	return l
}

func (l *load) count(c *caller, version int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.calls++
	if err != nil {
		c.failed++
		c.err = errors.Join(c.err, err)
	} else if n := len(c.versions); n > 0 && c.versions[n-1] == version {
		c.same++
	} else {
		c.versions = append(c.versions, version)
		c.same = 1
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait returns when every caller has had enough answers of a version.
func (l *load) wait(ctx context.Context, version int) error {
	for {
		l.mu.Lock()
		waiting := slices.ContainsFunc(l.callers, func(c caller) bool {
			n := len(c.versions)
			return n == 0 || c.versions[n-1] != version || c.same < enough
		})
		failed := slices.ContainsFunc(l.callers, func(c caller) bool { return c.failed > 0 })
		changed := l.changed
		l.mu.Unlock()
		if failed {
			l.stop()
			return l.report()
		}
		if !waiting {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop lets the callers finish the call they are in.
func (l *load) stop() {
	l.mu.Lock()
	select {
	case <-l.over:
	default:
		close(l.over)
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.cancel()
}

func (l *load) report() error {
	calls, failed := 0, 0
	var err error
	for _, c := range l.callers {
		calls += c.calls
		failed += c.failed
		err = errors.Join(err, c.err)
	}
	fmt.Printf("calls made: %d\nfailed: %d\n", calls, failed)
	if err != nil {
		return err
	}
	for i, c := range l.callers {
		if !slices.Equal(c.versions, []int{1, 2, 1}) {
			return fmt.Errorf("caller %d saw the versions %v", i, c.versions)
		}
	}
	fmt.Println("versions seen by every caller: 1 2 1")
	return nil
}
