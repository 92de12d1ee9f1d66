//go:build linux || darwin

package reexec

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// waiting are signals that came before the program looked after them, each in a channel of its
// own. Empty unless the program follows another one.
type waiting struct {
	mu       sync.Mutex
	channels map[os.Signal]chan os.Signal
}

var early waiting

// init and not Received: until then as much time passes as all packages need to begin, and
// a signal would end the program.
func init() {
	if _, ok := os.LookupEnv(Env); ok {
		early.channels = map[os.Signal]chan os.Signal{}
		for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2} {
			c := make(chan os.Signal, 1)
			early.channels[s] = c
			signal.Notify(c, s)
		}
	}
}

// take returns the channel of a signal, which is the caller's then; nil if there is none.
func (w *waiting) take(s os.Signal) chan os.Signal {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channels[s]
	delete(w.channels, s)
	return c
}

// deliver lets the signals do what they would have done that nobody has taken.
func (w *waiting) deliver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, c := range w.channels {
		signal.Stop(c)
		n, ok := s.(unix.Signal)
		if ok && len(c) > 0 {
			unix.Kill(os.Getpid(), n)
		}
	}
	w.channels = nil
}

// Notify is signal.Notify, and gives c also what has come since the program took over from another
// one. As there, c must have room: nothing waits for it. The function it returns ends it.
func Notify(c chan<- os.Signal, sigs ...os.Signal) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	var mine []chan os.Signal
	for _, s := range sigs {
		e := early.take(s)
		if e == nil {
			signal.Notify(c, s)
			continue
		}
		// The channel goes on: with a new one a signal could come to neither, or to both.
		mine = append(mine, e)
		wg.Go(func() { forward(e, c, over) })
	}
	return sync.OnceFunc(func() {
		signal.Stop(c)
		for _, e := range mine {
			signal.Stop(e)
		}
		close(over)
		wg.Wait()
	})
}

func forward(from <-chan os.Signal, to chan<- os.Signal, over <-chan struct{}) {
	for {
		select {
		case s := <-from:
			select {
			case to <- s:
			default:
			}
		case <-over:
			return
		}
	}
}
