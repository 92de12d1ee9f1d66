package static

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// logAfter is how long a line waits for others: one write for each would cost as much as an answer.
	logAfter = 10 * time.Millisecond
	// mostPending is what waits at most for a writer that blocks. What comes then is counted only: a
	// terminal that stands still must not stop the server. Unit: bytes.
	mostPending = 1 << 20
)

// accessLog writes a line per request, as the prefork example of Python's multiprocessing did. mu guards
// what is below it.
type accessLog struct {
	mark string // "[Process-N]\t", or empty
	w    io.Writer

	mu    sync.Mutex
	idle  sync.Cond // nothing is pending, and nobody writes
	buf   []byte    // pending
	spare []byte
	lost  int
	busy  bool // a flush is to come, or under way
}

func newAccessLog(process string, w io.Writer) *accessLog {
	l := &accessLog{w: w}
	l.idle.L = &l.mu
	if process != "" {
		l.mark = "[" + process + "]\t"
	}
	return l
}

func (l *accessLog) write(r *http.Request, status int) {
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > mostPending {
		l.lost++
		return
	}
	b := append(l.buf, l.mark...)
	b = strconv.AppendQuoteToASCII(b, r.Method+" "+uri+" "+r.Proto)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(status), 10)
	l.buf = append(b, " -\n"...)
	if !l.busy {
		l.busy = true
		time.AfterFunc(logAfter, l.flush)
	}
}

// flush writes what is pending.
func (l *accessLog) flush() {
	l.mu.Lock()
	b := l.buf
	if l.lost > 0 {
		b = fmt.Appendf(b, "%s%d lines are lost: nobody takes them in time\n", l.mark, l.lost)
	}
	l.buf, l.lost = l.spare[:0], 0
	l.mu.Unlock()
	l.w.Write(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = b
	if len(l.buf) > 0 {
		time.AfterFunc(logAfter, l.flush)
		return
	}
	l.busy = false
	l.idle.Broadcast()
}

// close returns when all is written.
func (l *accessLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.busy {
		l.idle.Wait()
	}
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// ReadFrom keeps the way open on which the system copies from file to socket.
func (r *recorder) ReadFrom(from io.Reader) (int64, error) { return io.Copy(r.ResponseWriter, from) }

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
