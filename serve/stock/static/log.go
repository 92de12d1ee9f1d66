package static

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// accessLog writes a line per request, as the prefork example of Python's multiprocessing did.
type accessLog struct {
	process string

	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

func (l *accessLog) write(r *http.Request, status int) {
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := append(l.buf[:0], '[')
	b = append(b, l.process...)
	b = append(b, "]\t"...)
	b = strconv.AppendQuoteToASCII(b, r.Method+" "+uri+" "+r.Proto)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, " -\n"...)
	l.buf = b
	l.w.Write(b)
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
