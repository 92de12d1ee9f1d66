package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/universal-server/become/serve/stock/internal/hangup"
)

const (
	// small is the buffer of a direction in which little is sent at a time, large that of one in which
	// much is: more than fits into a small one at once.
	small = 4 << 10
	large = 64 << 10
	// much is what must have been sent within a pulse for it to stay so. The kernel needs a
	// pipe, two descriptors, for a direction that it copies.
	much = 4 * large
)

// buffers are large ones.
var buffers = sync.Pool{New: func() any { return new([large]byte) }}

// ErrIdle ends a pair that was silent for too long.
var ErrIdle = errors.New("nothing was sent for too long")

// ErrStuck ends a pair of which one side does not take what is sent to it.
var ErrStuck = errors.New("one side takes nothing of what is sent to it")

// Run copies between a and b. It returns nil when both have ended their input, [ErrIdle] or [ErrStuck]
// after the idle time (0: no limit), or the first error of a connection. When one of them is closed
// meanwhile it ends with net.ErrClosed.
func Run(a, b net.Conn, idle time.Duration) error {
	r := &relay{idle: idle, pulse: idle / 4}
	now := time.Now()
	there := &way{r: r, from: a, to: b, silent: span{now, now}}
	back := &way{r: r, from: b, to: a, silent: span{now, now}, other: there}
	there.other = back
	var wg sync.WaitGroup
	wg.Go(there.run)
	wg.Go(back.run)
	wg.Wait()
	a.Close()
	b.Close()
	return r.err
}

// relay is what both directions share. mu guards what is below it, and the silences.
type relay struct {
	idle, pulse time.Duration

	mu  sync.Mutex
	err error // the first
}

// span is a time in which a direction was surely silent.
type span struct{ from, to time.Time }

// way is one direction. Its goroutine looks up once a pulse: setting a deadline for each read
// would cost as much as a small write.
type way struct {
	r        *relay
	from, to net.Conn
	other    *way
	silent   span

	buf   [small]byte
	large *[large]byte // while much is sent
	bulk  bool         // much is sent, and the kernel copies it
	looks time.Time    // the next one
	moved int64        // since the last one
}

// forever is later than any other time.
var forever = time.Unix(1<<40, 0)

func (w *way) run() {
	err := w.copy()
	w.slow()
	switch {
	case err == nil: // the end of the input
		w.end()
		if half, ok := w.to.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	case errors.Is(err, errRefused):
		w.end()
		w.fail(err)
	default:
		w.stop(w.fail(err))
	}
}

// errRefused says that the other side takes no more.
var errRefused = errors.New("the other side has closed")

// end says that the direction is silent from now on.
func (w *way) end() {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.silent = span{w.silent.from, forever}
	if w.moved > 0 {
		w.silent.from = time.Now()
	}
}

// fail keeps the first error of both directions, and returns it.
func (w *way) fail(err error) (first error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if w.r.err == nil {
		w.r.err = err
	}
	return w.r.err
}

// stop ends both directions. After an error of a connection the other one is reset: an
// ordinary end would say that all has arrived.
func (w *way) stop(first error) {
	for _, c := range []net.Conn{w.from, w.to} {
		if l, ok := c.(interface{ SetLinger(int) error }); ok && !errors.Is(first, ErrIdle) {
			l.SetLinger(0)
		}
		c.Close()
	}
}

// copy copies until the end of the input, which is nil, or an error.
func (w *way) copy() error {
	w.look(time.Now())
	for {
		n, err := w.step()
		w.moved += n
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := w.pause(); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
}

// step copies something: what is there, or all until the next look.
func (w *way) step() (int64, error) {
	if w.bulk {
		n, err := io.Copy(w.to, w.from)
		switch {
		case err == nil:
			return n, io.EOF
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed), hangup.Now(w.from):
			return n, err
		}
		return n, fmt.Errorf("%w: %w", errRefused, err)
	}
	b := w.buf[:]
	if w.large != nil {
		b = w.large[:]
	}
	n, err := w.from.Read(b)
	if n > 0 {
		if _, werr := w.to.Write(b[:n]); werr != nil {
			return 0, w.refused(werr)
		}
	}
	if n == small && w.large == nil {
		w.fast()
	}
	return int64(n), err
}

// fast is for a direction in which much is sent.
func (w *way) fast() {
	if runtime.GOOS == "linux" && kernels(w.from) && kernels(w.to) {
		w.bulk = true
		return
	}
	w.large = buffers.Get().(*[large]byte)
}

// kernels reports whether the system knows the connection.
func kernels(c net.Conn) bool {
	_, ok := c.(syscall.Conn)
	return ok
}

// slow gives back what a direction has for much.
func (w *way) slow() {
	w.bulk = false
	if w.large != nil {
		buffers.Put(w.large)
		w.large = nil
	}
}

// refused is the error of a write. One of a deadline is told from that of a read here.
func (w *way) refused(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrStuck
	case errors.Is(err, net.ErrClosed):
		return err
	}
	return fmt.Errorf("%w: %w", errRefused, err)
}

// look sets the deadlines until the next look.
func (w *way) look(now time.Time) {
	if w.r.idle <= 0 {
		return
	}
	w.looks = now.Add(w.r.pulse)
	w.from.SetReadDeadline(w.looks)
	w.to.SetWriteDeadline(w.looks.Add(w.r.idle))
}

// pause notes whether the direction was silent since the last look, and ends a pair of which both
// were for long enough.
func (w *way) pause() error {
	now := time.Now()
	if w.bulk && w.looks.Before(now.Add(-w.r.idle)) {
		return ErrStuck // the kernel does not say which deadline it was; this is that of writing
	}
	w.r.mu.Lock()
	w.silent.to = now
	if w.moved > 0 {
		w.silent.from = now
	}
	idle := overlap(w.silent, w.other.silent) >= w.r.idle
	w.r.mu.Unlock()
	if idle {
		return ErrIdle
	}
	if w.moved < much {
		w.slow()
	}
	w.moved = 0
	w.look(now)
	return nil
}

func overlap(a, b span) time.Duration {
	from, to := a.from, a.to
	if b.from.After(from) {
		from = b.from
	}
	if b.to.Before(to) {
		to = b.to
	}
	return to.Sub(from)
}
