package cgi

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// lastWords is how long the output of a script that has ended is waited for: its end comes at
// once unless a process that left the group holds it open.
const lastWords = 100 * time.Millisecond

// errQuiet says that nothing was printed for a while.
var errQuiet = errors.New("nothing was printed")

// output is our end of the pipe that a script prints into. mu guards over, and that the deadline
// fits to it.
type output struct {
	file *os.File

	mu   sync.Mutex
	over bool // the script has ended
}

// Read waits for output.
func (o *output) Read(b []byte) (int, error) {
	for {
		n, err := o.next(b, 0)
		if !errors.Is(err, errQuiet) {
			return n, err
		}
	}
}

// next waits for output for a time (0: without limit), and then says errQuiet.
func (o *output) next(b []byte, within time.Duration) (int, error) {
	o.mu.Lock()
	over := o.over
	switch {
	case over:
		o.file.SetReadDeadline(time.Now().Add(lastWords))
	case within > 0:
		o.file.SetReadDeadline(time.Now().Add(within))
	default:
		o.file.SetReadDeadline(time.Time{})
	}
	o.mu.Unlock()
	n, err := o.file.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	if !over { // it may be now, and then there may be more
		return 0, errQuiet
	}
	return 0, io.EOF
}

// ended says that the script has ended.
func (o *output) ended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	o.file.SetReadDeadline(time.Now().Add(lastWords))
}

// stop ends a read under way: nobody wants more.
func (o *output) stop() { o.file.Close() }
