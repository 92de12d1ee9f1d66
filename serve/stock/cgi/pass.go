package cgi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// chunk is how much of an answer is passed on at once.
	chunk = 32 << 10
	// flushAfter is how long a script may print nothing before what it has printed is sent on its way.
	flushAfter = time.Millisecond
	// endsWithin is how long a script whose output has ended is waited for, to know how it ended. It
	// may go on for longer.
	endsWithin = 250 * time.Millisecond
)

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// pass answers with what the script prints.
func (r *run) pass(w http.ResponseWriter, req *http.Request, h head, in *bufio.Reader, log *slog.Logger) {
	maps.Copy(w.Header(), h.fields)
	w.WriteHeader(h.status)
	if req.Method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified {
		r.stop(errEnough)
		return
	}
	control := http.NewResponseController(w)
	first, _ := in.Peek(in.Buffered())
	length := lengthOf(h)
	err := r.copy(w, control, first, &length)
	if length.passed {
		log.Warn("the script prints more than its Content-Length; the rest is dropped")
	}
	if why := r.reason(); why != nil {
		err = why
	} else if err == nil {
		err = r.crashed()
	}
	if err == nil {
		control.SetWriteDeadline(time.Time{})
		return
	}
	r.stop(err)
	log.Warn("the answer is cut", "reason", err)
	// The end of the body cannot be written then, and so the connection ends.
	control.SetWriteDeadline(time.Unix(1, 0))
}

// length is what is left of a Content-Length.
type length struct {
	left   int64 // -1: there is none
	passed bool  // there was more
}

func lengthOf(h head) length {
	n, err := strconv.ParseInt(h.fields.Get("Content-Length"), 10, 64)
	if err != nil {
		n = -1
	}
	return length{left: n}
}

// take returns what of b is within it. Why not fail? A newline too much, as from print, does no harm to anybody.
func (l *length) take(b []byte) []byte {
	if l.left < 0 {
		return b
	}
	if int64(len(b)) > l.left {
		b, l.passed = b[:l.left], true
	}
	l.left -= int64(len(b))
	return b
}

// copy passes on what was read with the header, and then what the script prints.
func (r *run) copy(w http.ResponseWriter, control *http.ResponseController, first []byte, length *length) error {
	write := func(b []byte) error {
		control.SetWriteDeadline(time.Now().Add(r.takeWithin))
		if _, err := w.Write(length.take(b)); err != nil {
			return errSlow // or it has gone: then that came first
		}
		return nil
	}
	if err := write(first); err != nil {
		return err
	}
	b := chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	within := flushAfter
	for {
		n, err := r.out.next(b[:], within)
		if n > 0 {
			within = flushAfter
			if err := write(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, errQuiet):
			within = 0
			if control.Flush() != nil {
				return errSlow
			}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// errCrashed says that a signal ended the script.
var errCrashed = errors.New("it was ended by a signal")

// crashed waits a moment for the script's end and says whether it was a violent one.
func (r *run) crashed() error {
	late := time.NewTimer(endsWithin)
	defer late.Stop()
	select {
	case <-r.p.Done():
		if r.p.Exit().Signal != "" {
			return errCrashed
		}
	case <-late.C:
	}
	return nil
}

// refuse answers instead of a script that has not: err is what is wrong with its output, unless it was
// stopped before.
func (r *run) refuse(w http.ResponseWriter, err error, log *slog.Logger) {
	if errors.Is(err, errNoHead) {
		r.crashed() // for the log: how it ended
	}
	r.stop(err)
	why := r.reason()
	code := http.StatusBadGateway
	switch {
	case errors.Is(why, errLate), errors.Is(why, errGone): // it may have ended its own side only
		code = http.StatusGatewayTimeout
	case errors.Is(why, errClosing):
		code = http.StatusServiceUnavailable
	}
	log.Warn("there is no answer", "pid", r.p.PID(), "status", code, "reason", why, "exit", r.p.Exit().Reason)
	answer(w, code)
}

// startStatus is the answer when a script cannot be started.
func startStatus(err error) int {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return http.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, errClosing), errors.Is(err, context.Canceled), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// startHint says what is often wrong with a file that cannot be started.
func startHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return "the first line of a script is #! and its interpreter, as in #!/usr/bin/env python3"
	case errors.Is(err, fs.ErrNotExist):
		return "is the interpreter there that its first line names?"
	}
	return ""
}
